/** The clients of the runs with children (family.ts): numbered updates, each until it is answered, some of them again; and what the store holds at the end. */
import { kinKey, type KinState } from "./family.ts"
import type { FinalChild, FinalFamily, ScriptLine } from "./history.ts"
import { delay, insist } from "./insist.ts"

export type WriteLine = (line: ScriptLine extends infer L ? (L extends ScriptLine ? Omit<L, "at"> : never) : never) => void

export interface FamilyLoadOptions {
  readonly client: any
  readonly count: number
  readonly everyMs: number
  readonly write: WriteLine
  readonly stopped: () => boolean
}

const endings: Readonly<Record<string, string>> = {
  cancelled: "Cancelled",
  terminated: "Terminated",
  failed: "RunFailed",
  timedOut: "TimedOut",
}
/** Of the updates, so many are asked a second time, under their id. */
const againShare = 0.3
const pageSize = 100

export class FamilyLoad {
  readonly #options: FamilyLoadOptions
  readonly #ids: ReadonlyArray<string>
  readonly #sent = new Map<string, number>()
  #life = 0

  constructor(options: FamilyLoadOptions) {
    this.#options = options
    this.#ids = Array.from({ length: options.count }, (_, n) => `kin-${n}`)
  }

  get keys(): ReadonlyArray<string> {
    return this.#ids.map(kinKey)
  }

  #next(id: string): string {
    return this.#ids[(this.#ids.indexOf(id) + 1) % this.#ids.length] ?? ""
  }

  #insist<T>(call: () => Promise<T>): Promise<T> {
    return insist(call, this.#options.stopped)
  }

  async start(): Promise<void> {
    this.#life++
    this.#sent.clear()
    await Promise.all(
      this.#ids.map((id) =>
        this.#insist(async () => {
          const handle = await this.#options.client.kin.start({ id, next: this.#next(id) })
          this.#options.write({ what: "started", key: kinKey(id), run: (await handle.describe()).run as string })
        }),
      ),
    )
  }

  /** Until `paused`. */
  async send(paused: () => boolean): Promise<void> {
    const { everyMs } = this.#options
    await Promise.all(
      this.#ids.map(async (id) => {
        await delay(Math.random() * everyMs)
        while (!paused()) {
          const n = (this.#sent.get(id) ?? 0) + 1
          this.#sent.set(id, n)
          await this.#update(id, n)
          if (Math.random() < againShare) await this.#update(id, n)
          await delay(everyMs)
        }
      }),
    )
  }

  async #update(id: string, n: number): Promise<void> {
    const { client, write } = this.#options
    const options = { id: `${id} ${this.#life} ${n}`, timeout: "3 seconds" }
    const place = await this.#insist(async () => (await client.kin.get(id).update.apply(n, options)) as number)
    write({ what: "answered", key: kinKey(id), n, place })
  }

  /** Tells all to begin nothing new, or to go on. */
  async rest(resting: boolean): Promise<void> {
    const signalId = crypto.randomUUID()
    await Promise.all(
      this.#ids.map((id) =>
        this.#insist(async () => await this.#options.client.kin.get(id).signal.rest(resting, { id: `${id} ${signalId}` })),
      ),
    )
  }

  /** What the store holds of them; `undefined`: not all are at rest. */
  async atRest(): Promise<ReadonlyArray<FinalFamily> | undefined> {
    const all = await Promise.all(this.#ids.map((id) => this.#insist(async () => await this.#options.client.kin.get(id).describe())))
    const states = all.map(({ state }) => state as KinState)
    if (!all.every(({ phase }, i) => phase === "parked" && states[i]?.resting === true)) return undefined
    const finals = all.map(({ run, iteration }, i): FinalFamily => {
      const id = this.#ids[i] ?? ""
      const { log = [], families = [], told = 0, heard = [], iterations: counted = 0 } = states[i] ?? {}
      const from = heard.map(([who, n]) => [kinKey(who), n] as const)
      return { key: kinKey(id), run, log, families, told, next: kinKey(this.#next(id)), heard: from, iterations: iteration - 1, counted }
    })
    // One that is at rest is woken by what others told before they came to rest.
    const heard = (of: FinalFamily): number => finals.find(({ key }) => key === of.next)?.heard.length ?? 0
    return finals.every((of) => heard(of) >= of.told) ? finals : undefined
  }

  /** For whoever waits in vain: who is not at rest, and what it waits for. */
  async describe(): Promise<string> {
    const all = this.#ids.map(async (id) => {
      const handle = this.#options.client.kin.get(id)
      const { state, ...rest } = await handle.describe()
      if ((state as KinState | undefined)?.resting === true && rest.phase === "parked") return []
      const { iterations, told, heard, resting } = state as KinState
      return [{ ...rest, state: { iterations, told, heard: heard.length, resting }, history: await handle.history() }]
    })
    return JSON.stringify((await Promise.all(all)).flat())
  }

  /** All children that the store holds. */
  async children(): Promise<ReadonlyArray<FinalChild>> {
    const { client } = this.#options
    const found: FinalChild[] = []
    for (const kind of ["branch", "leaf"] as const) {
      let cursor: string | undefined = ""
      while (cursor !== undefined) {
        const given: string = cursor
        const page: any = await this.#insist(
          async () => await client[kind].page({ limit: pageSize, ...(given === "" ? {} : { cursor: given }) }),
        )
        found.push(
          ...(await Promise.all(
            page.runs.map(async ({ key, run, phase, outcome }: any): Promise<FinalChild> => {
              if (phase !== "ended") return { key: `${kind}/${key}`, run, end: "alive" }
              if (outcome !== "done") return { key: `${kind}/${key}`, run, end: endings[outcome] ?? String(outcome) }
              return { key: `${kind}/${key}`, run, end: `done:${await this.#insist(async () => await client[kind].get(key).result())}` }
            }),
          )),
        )
        cursor = page.cursor
      }
    }
    return found
  }
}
