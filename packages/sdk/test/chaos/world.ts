/**
 * Workers in processes of their own on one store, under load, and the verbs that hurt them. Every wait is for a condition. `verify` stops the
 * load, waits until all that was acknowledged was handled, drains the workers, and judges what they wrote down and what the store holds.
 */
import { randomBytes } from "node:crypto"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openEngine } from "../../src/engine/open.ts"
import { shardOf } from "../../src/key.ts"
import { readPoolAudit, type PoolAudit } from "../../src/verify/pool-audit.ts"
import type { Direction } from "../pool/tcp-proxy.ts"
import { monotonicMs, type Final, type FinalFamily, type History, type WorkerLine } from "./history.ts"
import type { State } from "./job.ts"
import { LineFiles } from "./line-files.ts"
import { holders, Load } from "./load.ts"
import type { ChaosStore } from "./stores.ts"
import { judge, type Verdict } from "./verdict.ts"
import { Ways } from "./ways.ts"
import { Worker } from "./worker.ts"

export const shards = 16
/** Short, so that a pass is quick; the bounds that follow from them are those of the defaults. */
export const leaseMs = 1_000
const options = { leaseMs, watchMs: 50, settleMs: 50, sweepMs: 200, callTimeoutMs: 2_000, drainMs: 5_000, auditLength: 10_000 } as const
/** Until runs with children have ended what they began: an activity of a killed worker is missed after 15 s (docs/activities.md), twice where its next one is killed, too. */
const restMs = 90_000
/** Characters of what a failure shows of the families: a run that tried a thousand times has a megabyte of them. */
const shownMax = 20_000

export interface WorldOptions {
  readonly workers: number
  readonly keys?: number
  /** Runs that have children; default 4. */
  readonly families?: number
  readonly everyMs?: number
  /** Whether the n-th worker reaches its store by ways that can fail; a direct one lets others see its connections close (S7). Default: none. */
  readonly ways?: (n: number) => boolean
  /** Options of the workers, beside those above. */
  readonly options?: object
  readonly log?: (text: string) => void
}

export class World {
  readonly store: ChaosStore
  readonly load: Load
  readonly workers: Worker[] = []
  readonly pool: string
  readonly lowPool: string
  readonly #folder: string
  readonly #given: WorldOptions
  readonly #problems: string[] = []
  readonly #written = new LineFiles<WorkerLine>()
  #reading: Promise<void> = Promise.resolve()
  #count = 0
  /** After the failovers that this world made. */
  #serving: string | undefined
  #disturbed: string | undefined

  private constructor(store: ChaosStore, load: Load, folder: string, pool: string, given: WorldOptions) {
    this.store = store
    this.load = load
    this.pool = pool
    this.lowPool = `${pool}-low`
    this.#folder = folder
    this.#given = given
  }

  static async open(store: ChaosStore, given: WorldOptions): Promise<World> {
    const pool = `chaos-${randomBytes(4).toString("hex")}`
    const folder = await mkdtemp(join(tmpdir(), "ponos-history-"))
    const spec = {
      store: store.url,
      pool,
      lowPool: `${pool}-low`,
      shards,
      keys: given.keys ?? 16,
      families: given.families ?? 4,
      everyMs: given.everyMs ?? 100,
    }
    const load = await Load.open(spec)
    const world = new World(store, load, folder, pool, given)
    try {
      world.#serving = await store.serving?.()
      await Promise.all(Array.from({ length: given.workers }, () => world.add()))
      await load.start()
      await world.recovered("the load runs")
    } catch (error) {
      await world.close()
      throw error
    }
    return world
  }

  get living(): ReadonlyArray<Worker> {
    return this.workers.filter((worker) => worker.alive && !worker.frozen)
  }

  log(text: string): void {
    this.#given.log?.(text)
  }

  // --- waiting -------------------------------------------------------------------------------------------------------

  async until(condition: () => boolean | Promise<boolean>, what: string, ms = 30_000): Promise<void> {
    const end = performance.now() + ms
    while (!(await condition())) {
      if (performance.now() > end) throw new Error(`waited ${ms} ms in vain until ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async lines(): Promise<Array<WorkerLine>> {
    // One after the other: two readers of a file would read a line twice.
    const read = this.#reading.then(async () => {
      for (const { name } of this.workers) await this.#written.read(this.#file(name))
    })
    this.#reading = read
    await read
    return this.#written.all
  }

  /** Every key has counted something since now, on a process that runs. */
  async recovered(what: string): Promise<void> {
    const since = monotonicMs()
    const missing = async (): Promise<ReadonlyArray<string>> => {
      const names = new Set(this.living.map(({ name }) => name))
      const lines = (await this.lines()).filter(({ at, worker }) => at > since && names.has(worker))
      const seen = new Set(lines.flatMap((line) => (line.what === "message" || line.what === "applied" ? [line.key] : [])))
      return [...this.load.historyKeys, ...this.load.families.keys].filter((key) => !seen.has(key))
    }
    let left: ReadonlyArray<string> = []
    try {
      await this.until(async () => (left = await missing()).length === 0, `all keys go on: ${what}`)
    } catch (error) {
      throw new Error(`${(error as Error).message}; these do not: ${left.slice(0, 8).join(", ")} (${left.length})`, { cause: error })
    }
    this.log(`  recovered after ${(monotonicMs() - since).toFixed(0)} ms: ${what}`)
  }

  /** The runs with children have ended what they began, and begin nothing. */
  async rested(): Promise<ReadonlyArray<FinalFamily>> {
    const since = monotonicMs()
    await this.load.families.rest(true)
    let finals: ReadonlyArray<FinalFamily> | undefined
    try {
      await this.until(async () => (finals = await this.load.families.atRest()) !== undefined, "the families are at rest", restMs)
    } catch (error) {
      const all = await this.load.families.describe()
      throw new Error(`${(error as Error).message}: ${all.slice(0, shownMax)}`, { cause: error })
    }
    this.log(`  families at rest after ${(monotonicMs() - since).toFixed(0)} ms`)
    return finals ?? []
  }

  holders(pool: string): Promise<ReadonlySet<string>> {
    return holders(this.store.url, pool, shards)
  }

  /** Those who run hold all shards, and nobody else does. */
  async shared(): Promise<void> {
    await this.until(async () => {
      const sessions = new Set(this.living.flatMap((worker) => worker.sessions))
      for (const pool of [this.pool, this.lowPool]) for (const holder of await this.holders(pool)) if (!sessions.has(holder)) return false
      return true
    }, "those who run hold all shards")
  }

  // --- verbs ---------------------------------------------------------------------------------------------------------

  #file(worker: string): string {
    return join(this.#folder, `${worker}.jsonl`)
  }

  async add(): Promise<Worker> {
    const name = `w${++this.#count}`
    const { pool, lowPool, store } = this
    const file = this.#file(name)
    const spec = { store: store.url, pool, lowPool, shards, worker: name, file, options: { ...options, ...this.#given.options } }
    const hasWays = store.servers !== undefined && this.#given.ways?.(this.#count) === true
    const worker = new Worker(spec, hasWays ? await Ways.open(store.servers) : undefined)
    this.workers.push(worker)
    // Whoever ended it: the test, its own lease thread (S5), or a survivor, because it was frozen inside of a write (S9).
    worker.child.once("exit", () => {
      worker.frozen = false
      this.load.write({ what: "exited", worker: name })
    })
    this.log(`  add ${name}${hasWays ? "" : ", directly"}`)
    await this.until(() => worker.count("up") === 1 || !worker.alive, `${name} is up`, 60_000).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}; it said: ${JSON.stringify(worker.events.slice(-5))} ${worker.said}`, { cause: error })
    })
    if (!worker.alive) throw new Error(`${name} ended before it was up: ${worker.said}`)
    return worker
  }

  async kill(worker: Worker): Promise<void> {
    this.log(`  kill ${worker.name}`)
    this.load.write({ what: "killed", worker: worker.name })
    await worker.end("SIGKILL")
  }

  /** It hands its shards over and ends with 0. */
  async drain(worker: Worker): Promise<void> {
    this.log(`  drain ${worker.name}`)
    worker.child.kill("SIGTERM")
    await this.until(() => !worker.alive, `${worker.name} has drained`, 60_000)
    const { exitCode, signalCode } = worker.child
    if (exitCode !== 0) this.#problems.push(`${worker.name} drained with ${exitCode ?? signalCode}: ${worker.said.slice(-500)}`)
  }

  freeze(worker: Worker): void {
    this.log(`  freeze ${worker.name}`)
    worker.child.kill("SIGSTOP")
    worker.frozen = true
    this.load.write({ what: "frozen", worker: worker.name })
  }

  thaw(worker: Worker): void {
    this.log(`  thaw ${worker.name}`)
    this.load.write({ what: "thawed", worker: worker.name })
    worker.child.kill("SIGCONT")
    worker.frozen = false
  }

  /** Its event loop stands still. */
  block(worker: Worker, ms: number): void {
    this.log(`  block ${worker.name} for ${ms} ms`)
    worker.child.stdin?.write(`block ${ms}\n`)
  }

  cut(worker: Worker, direction?: Direction): void {
    this.log(`  cut ${worker.name} ${direction ?? ""}`)
    worker.ways?.cut(direction)
  }

  slow(worker: Worker, ms: number): void {
    this.log(`  slow ${worker.name} by ${ms} ms`)
    worker.ways?.slow(ms)
  }

  /** Scripts run, and their replies are lost with the connection. */
  async loseReplies(worker: Worker, count: number): Promise<void> {
    this.log(`  lose ${count} replies of ${worker.name}`)
    const { ways } = worker
    if (ways === undefined) return
    const before = ways.lost
    ways.loseReplies(count)
    await this.until(() => ways.lost >= before + count || !worker.alive, "replies were lost")
  }

  heal(worker: Worker): void {
    this.log(`  heal ${worker.name}`)
    worker.ways?.heal()
  }

  /** Empties the store under the workers. What was acknowledged before is void, by definition; the clients start anew. */
  async flush(): Promise<void> {
    await this.load.pause()
    this.log("  flush")
    await this.store.flush?.()
    this.load.write({ what: "flushed" })
    await this.load.start()
  }

  /** A primary is killed or hangs, and another server takes over; gives what lets one that hangs go on. */
  async failover(of: "killed" | "hanging"): Promise<() => Promise<void>> {
    this.log(`  failover of one that is ${of}`)
    const takeover = await this.store.failover?.(of)
    this.#disturbed ??= takeover?.disturbed
    this.#serving = await this.store.serving?.()
    return async () => {
      this.log("  the old primary goes on")
      await takeover?.thaw()
      this.log("  it follows")
    }
  }

  /** The shard's name in the store. */
  #tagOf(key: string): string {
    return `${key.startsWith("low/") ? this.lowPool : this.pool}:${shardOf(key.slice(key.indexOf("/") + 1), shards)}`
  }

  /**
   * The replicas of a primary get nothing more, work goes on, and then one of them takes over. What that primary acknowledged meanwhile is void; gives
   * the last number of each of its keys among it.
   */
  async goBack(meanwhile: () => Promise<void>): Promise<ReadonlyMap<string, number>> {
    await this.load.pause()
    // What it does in several shards would be forgotten in some of them only (docs/guarantees.md).
    await this.rested()
    const from = monotonicMs()
    const keys = [...this.load.historyKeys, ...this.load.families.keys]
    const behind = (await this.store.strand?.(keys.map((key) => this.#tagOf(key)))) ?? (() => false)
    const kept = keys.filter((key) => !behind(this.#tagOf(key)))
    this.log(`  replicas get nothing more of ${keys.length - kept.length} of ${keys.length} keys`)
    this.load.resume()
    await meanwhile()
    await this.load.pause()
    const acknowledged = [...this.load.acknowledged()].filter(([key]) => !kept.includes(key))
    await this.failover("killed")
    this.load.write({ what: "wentBack", from, kept })
    await this.load.families.rest(false)
    this.load.resume()
    return new Map(acknowledged)
  }

  // --- the end -------------------------------------------------------------------------------------------------------

  async verify(): Promise<Verdict> {
    for (const worker of this.workers) {
      worker.ways?.heal()
      if (worker.frozen) this.thaw(worker)
    }
    let finals: ReadonlyArray<Final> = []
    let families: ReadonlyArray<FinalFamily> = []
    try {
      await this.load.pause()
      families = await this.rested()
      const acknowledged = this.load.acknowledged()
      await this.until(async () => {
        finals = await this.#finals()
        return finals.every(({ key, log }) => (log.at(-1) ?? 0) >= (acknowledged.get(key) ?? 0))
      }, "all that was acknowledged was handled")
    } catch (error) {
      this.#problems.push((error as Error).message)
    }
    await Promise.all(this.workers.filter(({ alive }) => alive).map((worker) => this.drain(worker)))
    // Iterations may have gone on until the drain.
    finals = await this.#finals()
    return await this.#judge(finals, families)
  }

  /** Of the runtime what the store holds; the low-level pool keeps no state: what its handlers saw. */
  async #finals(): Promise<ReadonlyArray<Final>> {
    const lines = await this.lines()
    lines.sort((a, b) => a.at - b.at)
    const runs = new Map(lines.flatMap((line) => (line.what === "begin" ? [[`${line.worker} ${line.handler}`, line.run]] : [])))
    return await Promise.all(
      this.load.historyKeys.map(async (key) => {
        if (key.startsWith("run/")) {
          const { run, state } = await this.load.describe(key)
          const { log, iterations } = (state ?? { log: [], iterations: [] }) as State
          return { key, run, log, iterations }
        }
        const run = this.load.runs.get(key) ?? ""
        const seen = lines.flatMap((line) =>
          line.what === "message" && line.key === key && runs.get(`${line.worker} ${line.handler}`) === run ? [line.n] : [],
        )
        return { key, run, log: [...new Set(seen)], iterations: [] }
      }),
    )
  }

  async #judge(final: ReadonlyArray<Final>, families: ReadonlyArray<FinalFamily>): Promise<Verdict> {
    const engine = await openEngine(this.store.url)
    const audits: PoolAudit[] = []
    try {
      for (const pool of [this.pool, this.lowPool]) audits.push(await readPoolAudit(engine, pool))
    } finally {
      await engine.close()
    }
    const history: History = {
      workers: [...(await this.lines()), ...this.workers.flatMap(({ ended }) => ended)].toSorted((a, b) => a.at - b.at),
      script: this.load.lines,
      final: [...final, ...families.map(({ key, run }) => ({ key, run, log: [], iterations: [] }))],
      families,
      children: await this.load.families.children(),
      repeats: (key) => key.startsWith("low/"),
    }
    const serving = await this.store.serving?.()
    const disturbed =
      serving === this.#serving ? this.#disturbed : `servers failed over that nobody touched: from ${this.#serving} to ${serving}`
    const problems = [...this.#problems, ...this.workers.flatMap(({ faults }) => faults)]
    const verdict = judge(history, audits, shards, { problems, disturbed })
    if (!verdict.ok) await this.#keep(history, audits, verdict.problems)
    return verdict
  }

  /** For whoever looks for the cause: all that was written down, in the folder that the environment names. */
  async #keep(history: History, audits: ReadonlyArray<PoolAudit>, problems: ReadonlyArray<string>): Promise<void> {
    const folder = process.env["PONOS_CHAOS_KEEP"]
    if (folder === undefined) return
    const path = join(folder, `${this.pool}.json`)
    const events = Object.fromEntries(this.workers.map(({ name, events: of, said }) => [name, { events: of, said }]))
    await writeFile(path, JSON.stringify({ problems, ...history, events, audits }))
    this.log(`  kept ${path}`)
  }

  /** Ends all that was started, whatever state it is in. Idempotent. The store is the caller's. */
  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.end("SIGKILL")))
    await Promise.all(this.workers.map(async ({ ways }) => await ways?.close()))
    await this.load.close()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
