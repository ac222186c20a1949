/** Worker processes of one pool with all its jobs running, and what is done to them: kill, freeze, drain, each with what it took. */
import type { StoreName } from "../command.ts"
import { setTimeout as delay } from "node:timers/promises"
import type { Child } from "../child.ts"
import { clock } from "../clock.ts"
import { quantile } from "../figure.ts"
import { createClient, type Client } from "../ponos.gen/client.ts"
import { Evidence } from "./evidence.ts"
import type { Records } from "./records.ts"
import { until, type Stage } from "../stage.ts"
import { storedContradictions } from "./stored.ts"

interface Status {
  readonly shards: number
  readonly running: number
}

interface Member {
  readonly name: string
  readonly child: Child
}

export interface CrewOptions {
  readonly store: StoreName
  /** Of `createWorker`; what is not given is the default. */
  readonly worker: Readonly<Record<string, unknown>>
  readonly jobs: number
}

export interface Handover {
  readonly p50: number
  readonly p99: number
}

const size = 3
const shards = 256
/** Nothing may have moved for so long before something is done. */
const quietMs = 400

export class Crew {
  readonly #stage: Stage
  readonly #options: CrewOptions
  readonly #pool: string
  readonly #store: string
  readonly #client: Client
  readonly #evidence = new Evidence()
  /** The oldest first. */
  #members: Array<Member> = []
  #count = 0
  readonly #keys: ReadonlyArray<string>

  private constructor(stage: Stage, options: CrewOptions) {
    this.#stage = stage
    this.#options = options
    this.#pool = stage.name()
    this.#store = stage.store(options.store)
    this.#keys = Array.from({ length: options.jobs }, (_, number) => `tenant-${number}`)
    this.#client = createClient({ pool: this.#pool, store: this.#store })
  }

  static async open(stage: Stage, options: CrewOptions): Promise<Crew> {
    const crew = new Crew(stage, options)
    try {
      await Promise.all(Array.from({ length: size }, () => crew.#add()))
      await Promise.all(crew.#keys.map((id) => crew.#client.tenant.start({ id })))
      await crew.#settle()
      return crew
    } catch (error) {
      await crew.end()
      throw error
    }
  }

  /** SIGKILL of the oldest worker: ms until all its jobs run on others. */
  async kill(): Promise<number> {
    const { victim, keys } = await this.#take()
    const at = clock()
    victim.child.signal("SIGKILL")
    await victim.child.exited()
    this.#evidence.died(victim.name, clock())
    await this.#othersRunAll()
    return await this.#after(() => this.#evidence.takeoverMs(victim.name, keys, at))
  }

  /**
   * SIGSTOP of the oldest worker: ms until all its jobs run on others. Then it goes on, and joins anew; unless it was stopped inside of a write
   * transaction of a file, where the others, which it keeps from writing, kill it (S9).
   */
  async freeze(): Promise<number> {
    const { victim, keys } = await this.#take()
    await this.#members[0]?.child.call("guard", victim.child.pid)
    const from = clock()
    victim.child.signal("SIGSTOP")
    const stoppedAt = clock()
    try {
      await this.#othersRunAll()
    } finally {
      this.#evidence.frozen(victim.name, { from: stoppedAt, to: clock() })
      if (victim.child.ended) {
        this.#evidence.died(victim.name, clock())
        this.#stage.say(`${victim.name} was killed while it was frozen: it held the write lock of the file`)
      } else {
        victim.child.signal("SIGCONT")
        this.#members.push(victim)
      }
    }
    await this.#members[0]?.child.call("guard", null)
    return await this.#after(() => this.#evidence.takeoverMs(victim.name, keys, from))
  }

  /** SIGTERM of the oldest worker: from the close of each job's resource to its handler elsewhere. */
  async drain(): Promise<Handover> {
    const { victim } = await this.#take()
    const at = clock()
    this.#evidence.drained(victim.name, at)
    victim.child.signal("SIGTERM")
    await victim.child.call("stopped")
    await this.#othersRunAll()
    await this.#hear(victim)
    await victim.child.end()
    const gaps = await this.#after(() => this.#evidence.gapsMs(victim.name, at))
    return { p50: quantile(gaps, 0.5), p99: quantile(gaps, 0.99) }
  }

  /** Accepted writes by two owners, from the workers' records and from what the store holds. */
  async overlapWrites(): Promise<number> {
    await this.#hearAll()
    return this.#evidence.overlapWrites() + (await storedContradictions(this.#client, this.#keys))
  }

  /** By what was heard so far. */
  get evidence(): Pick<Evidence, "overlap" | "thawSettleMs" | "frozenPieceMs"> {
    return this.#evidence
  }

  /** For the reader of the progress lines. */
  summary(): string {
    const all = this.#evidence.all
    const sum = (of: (told: (typeof all)[number]) => number): number => all.reduce((total, told) => total + of(told), 0)
    const troubles = Map.groupBy(
      all.flatMap((told) => told.troubles),
      (text) => text.replaceAll(/[0-9a-f-]{8,}|\d+/g, "…"),
    )
    const seen = [...troubles].map(([text, every]) => `${every.length} × ${text.slice(0, 120)}`)
    return `${sum(({ writes }) => writes.length)} writes accepted, ${sum(({ refused }) => refused)} refused; events: ${seen.join("; ") || "none"}`
  }

  /** Nothing of it is measured: the workers need not drain. */
  async end(): Promise<void> {
    await this.#client.close()
    for (const { child } of this.#members) child.signal("SIGKILL")
    await Promise.all(this.#members.map(({ child }) => child.end()))
  }

  async #add(): Promise<void> {
    const child = this.#stage.spawn("worker.ts", [this.#pool, this.#store, JSON.stringify(this.#options.worker)])
    this.#members.push({ name: `worker ${++this.#count}`, child })
    await child.call("open")
  }

  /** The oldest worker, which belongs to the crew no more, and the keys that it runs. */
  async #take(): Promise<{ readonly victim: Member; readonly keys: ReadonlySet<string> }> {
    const victim = this.#members.shift()
    if (victim === undefined) throw new Error("the crew has no worker")
    await this.#hear(victim)
    return { victim, keys: this.#evidence.running(victim.name) }
  }

  async #hear({ name, child }: Member): Promise<void> {
    this.#evidence.add(name, await child.call<Records>("records"))
  }

  async #hearAll(): Promise<void> {
    await Promise.all(this.#members.map((member) => this.#hear(member)))
  }

  /** Reads what was told, and makes the crew whole again. */
  async #after<A>(read: () => A): Promise<A> {
    await this.#hearAll()
    const value = read()
    await Promise.all(Array.from({ length: size - this.#members.length }, () => this.#add()))
    await this.#settle()
    return value
  }

  async #status(): Promise<ReadonlyArray<Status>> {
    return await Promise.all(this.#members.map(({ child }) => child.call<Status>("status")))
  }

  /** Jobs are between two iterations for an instant: 1 % may be, and what is measured waits for all of them. */
  async #othersRunAll(): Promise<void> {
    await until("the others run all jobs", async () => {
      const running = (await this.#status()).reduce((sum, one) => sum + one.running, 0)
      return running >= this.#options.jobs * 0.99
    })
    // the last per cent
    await delay(quietMs)
  }

  /** All shards are owned, evenly, all jobs run, and nothing moved for a while. */
  async #settle(): Promise<void> {
    let [last, since] = ["", performance.now()]
    await until("all jobs run on all workers, and nothing moves", async () => {
      const status = await this.#status()
      const owned = status.map((one) => one.shards)
      const running = status.reduce((sum, one) => sum + one.running, 0)
      const even = owned.reduce((a, b) => a + b, 0) === shards && Math.max(...owned) - Math.min(...owned) <= 1
      const now = owned.join()
      if (!even || running < this.#options.jobs * 0.99 || now !== last) [last, since] = [now, performance.now()]
      return performance.now() - since >= quietMs
    })
  }
}
