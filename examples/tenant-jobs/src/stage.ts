/** What the script acts with: the processes, the tenants' table, the client, and the conditions that it waits for. */
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { RunNotFound } from "@ponos/sdk"
import type { ControllerProcessOptions } from "./controller.ts"
import { tenantController } from "./controller.ts"
import type { Crew } from "./crew.ts"
import { emittedBy, type Emission } from "./emission.ts"
import { describeMove, type Live } from "./live.ts"
import type { Client } from "./ponos.gen/client.ts"
import type { RecordFile, ScriptRecord } from "./records.ts"
import type { Screen } from "./screen.ts"
import { seconds, type View, type WorkerRow } from "./table.ts"
import type { Tenant, TenantsDb, TenantTable } from "./tenants.ts"
import type { UpstreamStatus } from "./upstream.ts"
import type { WorkerOptions } from "./worker.ts"

/** Shards of the pool: Ponos' default. */
export const shardCount = 256

const settleQuietNanos = 600_000_000n
const waitLimitMs = 60_000
const batch = 50

export interface StageParts {
  readonly crew: Crew
  readonly live: Live
  readonly screen: Screen
  readonly script: RecordFile<ScriptRecord>
  readonly tenants: TenantTable
  readonly tenantsDb: TenantsDb
  readonly client: Client
  readonly pool: string
  readonly directory: string
  readonly upstream: string
  readonly emission: Emission
  readonly tenantCount: number
  readonly seconds: number
  readonly pollSeconds: number
}

export class Stage {
  readonly live: Live
  readonly tenants: TenantTable
  readonly #parts: StageParts
  readonly #controller: ReturnType<typeof tenantController>
  readonly #states = new Map<string, WorkerRow["state"]>()
  readonly #began = performance.now()
  /** When events began to flow to jobs: the acts are timed from here. */
  #flowing = 0
  #act = "starting"
  #status: UpstreamStatus = { elapsedMs: 0, stopped: false, accepted: {}, redelivered: 0, staleRefused: 0 }
  #tenantNumber = 0

  constructor(parts: StageParts) {
    this.#parts = parts
    this.live = parts.live
    this.tenants = parts.tenants
    this.#controller = tenantController(parts.client, parts.tenantsDb)
  }

  record(record: ScriptRecord, t?: bigint): void {
    this.#parts.script.write(record, t)
  }

  say(line: string): void {
    if (!line.startsWith(" ")) this.#act = line
    this.#parts.screen.say(`${seconds(this.#elapsedMs())}  ${line}`)
  }

  #elapsedMs(): number {
    return performance.now() - this.#began
  }

  // --- conditions ---------------------------------------------------------------------------------------------------

  /** Waits until `done`, looking every 50 ms; fails when a process failed, or after a minute with what `state` says. */
  async #wait(what: string, done: () => boolean | Promise<boolean>, state: () => string = () => ""): Promise<void> {
    const deadline = performance.now() + waitLimitMs
    for (;;) {
      this.#parts.crew.trouble.throwIfAborted()
      this.live.refresh()
      if (await done()) return
      if (performance.now() > deadline) {
        const { crew } = this.#parts
        throw new Error(`${what} did not happen within ${waitLimitMs / 1_000} s. ${state()}\n${crew.report()}`)
      }
      await delay(50, undefined, { signal: this.#parts.crew.trouble }).catch(() => {})
    }
  }

  /** Waits for a share of the time during which events are emitted. */
  async until(share: number): Promise<void> {
    const at = this.#flowing + share * this.#parts.seconds * 1_000
    const trouble = this.#parts.crew.trouble
    await delay(Math.max(0, at - performance.now()), undefined, { signal: trouble }).catch(() => {})
    trouble.throwIfAborted()
    this.live.refresh()
  }

  #workers(): string[] {
    return [...this.#states].flatMap(([name, state]) => (state === "running" ? [name] : []))
  }

  /** Waits until the running workers own all shards, evenly, and nothing has moved for a while. */
  async settled(): Promise<void> {
    const workers = this.#workers()
    const loads = () => [...this.live.loads(workers)]
    const show = () =>
      loads()
        .map(([worker, load]) => `${worker} ${load}`)
        .join(", ")
    await this.#wait(
      `an even share of ${shardCount} shards for each of ${workers.join(", ")}`,
      () => {
        const counts = loads().map(([, load]) => load)
        const even = Math.max(...counts) - Math.min(...counts) <= 1 && counts.reduce((a, b) => a + b, 0) === shardCount
        return even && process.hrtime.bigint() - this.live.lastClaim > settleQuietNanos
      },
      () => `They own: ${show()}.`,
    )
    this.record({ type: "settled", workers })
    this.say(`  settled: ${show()} shards`)
  }

  /** Waits until these tenants run on another worker. */
  async moved(from: string, tenants: ReadonlyArray<string>): Promise<void> {
    const left = () => tenants.filter((tenant) => this.live.owners.get(tenant) === from)
    await this.#wait(
      `all tenants of ${from} on other workers`,
      () => left().length === 0,
      () => `Not yet: ${left().join(", ")}.`,
    )
  }

  async running(tenants: ReadonlyArray<string>): Promise<void> {
    const left = () => tenants.filter((tenant) => !this.live.owners.has(tenant))
    await this.#wait(
      "a running job for each tenant",
      () => left().length === 0,
      () => `Without: ${left().join(", ")}.`,
    )
  }

  /** Waits until the last iteration of each tenant saw these settings. */
  async sees(tenants: ReadonlyArray<string>, label: string): Promise<void> {
    const left = () => tenants.filter((tenant) => this.live.labels.get(tenant) !== label)
    await this.#wait(
      `settings ${label} in an iteration`,
      () => left().length === 0,
      () => `Not in: ${left().join(", ")}.`,
    )
  }

  // --- workers ------------------------------------------------------------------------------------------------------

  /** Fails at once, with the store's own words, when it cannot be used. */
  async checkStore(): Promise<void> {
    await this.#parts.client.tenantFeed
      .get("nobody")
      .describe()
      .catch((error: unknown) => {
        if (!RunNotFound.is(error)) throw error
      })
  }

  /** Fills the table, starts the controller and the first workers, and waits until every tenant runs. */
  async begin(workers: ReadonlyArray<string>): Promise<void> {
    const { crew, pool, tenantCount } = this.#parts
    await this.tenants.insert(this.newTenants(tenantCount))
    this.say(`${tenantCount} tenants, ${workers.length} workers, a controller`)
    const config: ControllerProcessOptions = { pool, shards: shardCount }
    await Promise.all([this.startWorkers(workers), crew.start("controller", "controller.ts", config)])
    await this.settled()
    await this.running(await this.tenants.ids())
    this.#flowing = performance.now()
  }

  async startWorkers(names: ReadonlyArray<string>): Promise<void> {
    const { crew, pool, upstream, directory } = this.#parts
    await Promise.all(
      names.map(async (name) => {
        const log = join(directory, `${name}.ndjson`)
        this.#states.set(name, "starting")
        this.record({ type: "started", worker: name })
        this.live.watch(name, log)
        const config: WorkerOptions = { pool, shards: shardCount, receiver: upstream, log }
        await crew.start(name, "worker.ts", config)
      }),
    )
    for (const name of names) {
      crew.tell(name, { type: "join" })
      this.#states.set(name, "running")
    }
  }

  /** The running worker with most tenants. */
  busiest(among: ReadonlyArray<string> = this.#workers()): string {
    const [worker] = among.toSorted((a, b) => this.live.tenantsOf(b).length - this.live.tenantsOf(a).length)
    if (worker === undefined) throw new Error("no worker is running")
    return worker
  }

  kill(worker: string): void {
    const before = process.hrtime.bigint()
    this.#parts.crew.signal(worker, "SIGKILL")
    this.record({ type: "killed", worker, sent: process.hrtime.bigint().toString() }, before)
    this.#states.set(worker, "killed")
  }

  /** Asks a worker to drain and waits until its process has ended. */
  async drain(worker: string): Promise<void> {
    this.record({ type: "draining", worker })
    this.#states.set(worker, "draining")
    await this.#parts.crew.end([worker])
    this.#states.set(worker, "drained")
  }

  // --- tenants ------------------------------------------------------------------------------------------------------

  newTenants(count: number): Tenant[] {
    const { upstream, pollSeconds } = this.#parts
    return Array.from({ length: count }, () => {
      const tenantId = `t-${String(++this.#tenantNumber).padStart(3, "0")}`
      return { tenantId, url: `${upstream}/feeds/${tenantId}/events`, batchSize: 20, pollSeconds, label: "v1" }
    })
  }

  /** What an operator does when the guard holds a plan back: looks at it, and approves it. */
  async approveIfHeld(leaving: ReadonlyArray<string>): Promise<void> {
    const stopped = async () => (await this.#phases(leaving)).every((phase) => phase === "ended")
    let plan = await this.#controller.plan()
    await this.#wait("a plan that stops them", async () => {
      plan = await this.#controller.plan()
      return plan.guard.allowed ? await stopped() : plan.counts.stop === leaving.length
    })
    if (plan.guard.allowed) return
    this.say(`  plan ${plan.hash}: stop ${plan.counts.stop}, create ${plan.counts.create}, unchanged ${plan.counts.unchanged}`)
    this.say(`  guard: ${plan.guard.message}`)
    this.say(`  approved`)
    await this.#controller.approve(plan.hash)
  }

  async stopped(tenants: ReadonlyArray<string>): Promise<void> {
    await this.#wait("the end of the deleted tenants' jobs", async () => (await this.#phases(tenants)).every((phase) => phase === "ended"))
  }

  async #phases(tenants: ReadonlyArray<string>): Promise<string[]> {
    const { tenantFeed } = this.#parts.client
    return await Promise.all(tenants.map(async (tenant) => (await tenantFeed.get(tenant).describe()).phase))
  }

  /** Waits until the controller finds nothing to do. */
  async reconciled(): Promise<void> {
    let counts: object = {}
    await this.#wait(
      "a plan without actions",
      async () => {
        const plan = await this.#controller.plan()
        counts = plan.counts
        return plan.counts.create + plan.counts.update + plan.counts.stop + plan.counts.stopping === 0
      },
      () => `It has: ${JSON.stringify(counts)}.`,
    )
  }

  // --- events -------------------------------------------------------------------------------------------------------

  async #ask(method: "GET" | "POST", path: string): Promise<UpstreamStatus> {
    const response = await fetch(`${this.#parts.upstream}${path}`, { method })
    this.#status = (await response.json()) as UpstreamStatus
    return this.#status
  }

  /** Ends the emission; returns the number of the last event of each tenant in the table. */
  async silence(): Promise<Record<string, number>> {
    const { elapsedMs } = await this.#ask("POST", "/stop")
    const ids = await this.tenants.ids()
    return Object.fromEntries(ids.map((tenant) => [tenant, emittedBy(tenant, elapsedMs, this.#parts.emission)]))
  }

  /** Waits until the receiver has all; goes on after a minute without, and the verdict says what is lost. */
  async allDelivered(emitted: Readonly<Record<string, number>>): Promise<void> {
    const open = () => Object.entries(emitted).filter(([tenant, count]) => (this.#status.accepted[tenant] ?? 0) < count)
    await this.#orNot(() =>
      this.#wait("the delivery of all events", async () => {
        await this.#ask("GET", "/status")
        return open().length === 0
      }),
    )
  }

  /** How many events each live job says it has delivered; waits until that is what the receiver counts, if it comes to that. */
  async progress(emitted: Readonly<Record<string, number>>): Promise<Record<string, number>> {
    const { tenantFeed } = this.#parts.client
    const alive: string[] = []
    for await (const { key, phase } of tenantFeed.list()) if (phase !== "ended") alive.push(key)
    const delivered: Record<string, number> = {}
    await this.#orNot(() =>
      this.#wait("the same count in each job and the receiver", async () => {
        const behind = alive.filter((tenant) => delivered[tenant] === undefined || delivered[tenant] !== emitted[tenant])
        for (let index = 0; index < behind.length; index += batch)
          await Promise.all(
            behind.slice(index, index + batch).map(async (tenant) => {
              delivered[tenant] = (await tenantFeed.get(tenant).query.progress()).delivered
            }),
          )
        return alive.every((tenant) => delivered[tenant] === emitted[tenant])
      }),
    )
    return delivered
  }

  async #orNot(wait: () => Promise<void>): Promise<void> {
    await wait().catch((error: unknown) => {
      this.#parts.crew.trouble.throwIfAborted()
      this.say(`  ${error instanceof Error ? error.message : String(error)}`)
    })
  }

  // --- what is shown ------------------------------------------------------------------------------------------------

  async view(): Promise<View> {
    await this.#ask("GET", "/status").catch(() => {})
    // What is shown fails nothing: the script asks as well.
    const ids = await this.tenants.ids().catch(() => [])
    this.live.refresh()
    const { elapsedMs, accepted } = this.#status
    const loads = this.live.loads([...this.#states.keys()])
    return {
      elapsedMs: this.#elapsedMs(),
      act: this.#act,
      workers: [...this.#states].map(([name, state]) => {
        const live = state === "running" || state === "draining"
        return { name, state, shards: live ? (loads.get(name) ?? 0) : 0, tenants: live ? this.live.tenantsOf(name).length : 0 }
      }),
      tenants: ids.map((id) => {
        const delivered = accepted[id] ?? 0
        return { id, owner: this.live.owners.get(id) ?? "–", delivered, lag: emittedBy(id, elapsedMs, this.#parts.emission) - delivered }
      }),
      moves: this.live.moves.map(describeMove),
    }
  }
}
