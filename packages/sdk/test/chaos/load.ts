/** Clients: start all keys, send each of them numbers one after the other, and write down what the store acknowledged. */
import { openEngine } from "../../src/engine/open.ts"
import { makeClient } from "../../src/gen.ts"
import { Pool } from "../../src/pool/index.ts"
import { FamilyLoad, type WriteLine } from "./family-load.ts"
import { kinContracts } from "./family.ts"
import { monotonicMs, type ScriptLine } from "./history.ts"
import { delay, insist, retryable } from "./insist.ts"
import { contract, lowKey, runKey } from "./job.ts"

export interface LoadSpec {
  readonly store: string
  readonly pool: string
  readonly lowPool: string
  readonly shards: number
  readonly keys: number
  /** Runs that have children. */
  readonly families: number
  readonly everyMs: number
}

export class Load {
  readonly lines: ScriptLine[] = []
  readonly sent = new Map<string, number>()
  readonly runs = new Map<string, string>()
  readonly families: FamilyLoad
  readonly #spec: LoadSpec
  readonly #client: any
  readonly #low: Pool
  readonly #keys: ReadonlyArray<string>
  #sending: Promise<unknown> = Promise.resolve()
  #paused = true
  #closed = false
  #lives = 0

  private constructor(spec: LoadSpec, client: unknown, low: Pool) {
    this.#spec = spec
    this.#client = client
    this.#low = low
    this.#keys = Array.from({ length: spec.keys }, (_, n) => `key-${n}`)
    const { families: count, everyMs } = spec
    this.families = new FamilyLoad({ client, count, everyMs, write: this.write, stopped: () => this.#closed })
  }

  static async open(spec: LoadSpec): Promise<Load> {
    const { store, pool, lowPool, shards } = spec
    const low = await Pool.join(lowPool, { store, shards })
    return new Load(spec, makeClient({ pool, store, shards }, { chaos: contract, ...kinContracts }), low)
  }

  get historyKeys(): ReadonlyArray<string> {
    return this.#keys.flatMap((key) => [runKey(key), lowKey(key)])
  }

  readonly write: WriteLine = (line) => void this.lines.push({ at: monotonicMs(), ...line } as ScriptLine)

  /** Starts every key; after the store was emptied, anew. */
  async start(): Promise<void> {
    const life = ++this.#lives
    const stopped = (): boolean => this.#closed
    await Promise.all([
      this.families.start(),
      ...this.#keys.flatMap((key) => [
        insist(async () => {
          const handle = await this.#client.chaos.start({ id: key })
          this.#started(runKey(key), (await handle.describe()).run as string)
        }, stopped),
        insist(async () => {
          const run = `${key}-${life}`
          await this.#low.dispatch(key, new TextEncoder().encode(run))
          this.#started(lowKey(key), run)
        }, stopped),
      ]),
    ])
    this.#resume()
  }

  #started(key: string, run: string): void {
    this.runs.set(key, run)
    this.sent.delete(key)
    this.write({ what: "started", key, run })
  }

  #resume(): void {
    this.#paused = false
    this.#sending = Promise.all([
      this.families.send(() => this.#paused),
      ...this.#keys.flatMap((key) => [
        this.#send(runKey(key), async (n, id) => await this.#client.chaos.get(key).signal.add(n, { id })),
        // Without an id of its own: a call that failed for good may have been accepted.
        this.#send(lowKey(key), async (n) => await this.#low.notify(key, new TextEncoder().encode(String(n))), true),
      ]),
    ])
    // Told by `pause`.
    this.#sending.catch(() => {})
  }

  /** Goes on where it was. */
  resume(): void {
    this.#resume()
  }

  async #send(key: string, send: (n: number, id: string) => Promise<void>, once = false): Promise<void> {
    await delay(Math.random() * this.#spec.everyMs)
    while (!this.#paused) {
      const n = (this.sent.get(key) ?? 0) + 1
      const id = `${key} ${this.#lives} ${n}`
      this.sent.set(key, n)
      try {
        if (once) await send(n, id)
        else
          await insist(
            () => send(n, id),
            () => this.#closed,
          )
        this.write({ what: "sent", key, n })
      } catch (error) {
        if (!retryable(error)) throw error
        this.write({ what: "unknown", key, n })
      }
      await delay(this.#spec.everyMs)
    }
  }

  /** Resolves when every call has been answered. */
  async pause(): Promise<void> {
    this.#paused = true
    await this.#sending
  }

  /** The last acknowledged number of each key since it was started. */
  acknowledged(): ReadonlyMap<string, number> {
    const last = new Map<string, number>()
    for (const line of this.lines) {
      if (line.what === "started") last.delete(line.key)
      if (line.what === "sent") last.set(line.key, line.n)
    }
    return last
  }

  /** What the store holds of a key of the runtime. */
  async describe(key: string): Promise<{ readonly run: string; readonly state: unknown }> {
    return (await insist(
      async () => await this.#client.chaos.get(key.slice(4)).describe(),
      () => this.#closed,
    )) as never
  }

  /** What a key of the runtime has counted. */
  async log(key: string): Promise<ReadonlyArray<number>> {
    return ((await this.describe(key)).state as { readonly log?: ReadonlyArray<number> } | undefined)?.log ?? []
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#paused = true
    await this.#sending.catch(() => {})
    await this.#client.close()
    await this.#low.close()
  }
}

/** All sessions that hold a shard, by the store. */
export const holders = async (store: string, pool: string, shards: number): Promise<ReadonlySet<string>> => {
  const engine = await openEngine(store)
  try {
    const headers = await engine.headers(
      pool,
      Array.from({ length: shards }, (_, n) => n),
    )
    return new Set(headers.map(({ session }) => session))
  } finally {
    await engine.close()
  }
}
