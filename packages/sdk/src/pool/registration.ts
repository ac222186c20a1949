/**
 * What a session says of itself in the store, kept true (S1, S8): its member record, with the life by which others see its process die.
 * One write is under way at a time, each a compare-and-set on the last one, and repeated until it is answered: a write that was held up
 * on a dying connection can then not undo a later one.
 */
import type { Engine, Life, LifeHandle } from "../engine/engine.ts"
import type { KeeperLink } from "./keeper-link.ts"
import type { OwnLife } from "./lease.ts"
import { encodeRecord, type MemberRecord } from "./record.ts"

export interface RegistrationHost {
  /** What others see of this session changed, or a new life was confirmed. */
  readonly onLife: (life: OwnLife) => void
  /** The store refused the record: it says that the session is dead, and the next renewal tells. */
  readonly onRefused: () => void
  /** Why others cannot see this process die; they judge by its counter alone. */
  readonly onUnseen: (why: string) => void
  readonly onFault: (error: unknown) => void
}

export interface RegistrationOptions {
  readonly engine: Pick<Engine, "registerLife" | "join">
  readonly link: Pick<KeeperLink, "renewals" | "updateMember">
  readonly pool: string
  readonly record: MemberRecord
  /** See `LifeOptions`. */
  readonly direct: boolean
  readonly clock: () => number
}

const retryMs = 50
const states = { all: "whole", some: "partly", none: "lost" } as const satisfies Record<Life["left"], OwnLife>

export class Registration {
  readonly #link: RegistrationOptions["link"]
  readonly #pool: string
  readonly #session: string
  #handle: LifeHandle | undefined
  #life: Life = { sign: "", left: "all" }
  #record: MemberRecord
  /** As the store has it, and the life in it. */
  #written = ""
  #confirmed = ""
  #state: OwnLife = "whole"
  #host: RegistrationHost | undefined
  #writing = false
  #ended = false
  #waiting: Array<() => void> = []
  /** When the join that made the session was sent: trust begins there (S2). */
  sentAt = 0

  private constructor({ link, pool, record }: RegistrationOptions) {
    this.#link = link
    this.#pool = pool
    this.#session = record.session
    this.#record = record
  }

  /** Makes the process visible, then joins: the record names its life from the first moment. */
  static async open(options: RegistrationOptions): Promise<Registration> {
    const { engine, link, pool, record, direct, clock } = options
    const registration = new Registration(options)
    let changed = false
    const onChange = (life: Life): void => {
      changed = true
      registration.#onLife(life)
    }
    const handle = await engine.registerLife(pool, record.session, { direct, onChange, ...(link.renewals && { renewals: link.renewals }) })
    registration.#handle = handle
    if (!changed) registration.#life = handle.life
    const confirmed = registration.#life.sign
    const text = registration.#text()
    registration.sentAt = clock()
    try {
      await engine.join(pool, { session: record.session, record: text })
    } catch (error) {
      await handle.end()
      throw error
    }
    registration.#written = text
    registration.#confirmed = confirmed
    return registration
  }

  start(host: RegistrationHost): void {
    this.#host = host
    if (this.#life.why !== undefined) host.onUnseen(this.#life.why)
    this.#judge()
    this.#write()
  }

  /** Changes the record; resolves when the store has it, or refused it because the session is dead. */
  async update(change: Partial<MemberRecord>): Promise<void> {
    this.#record = { ...this.#record, ...change }
    if (this.#text() === this.#written || this.#ended) return
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve)
      this.#write()
    })
  }

  /** As a killed process: nothing is written any more, and what others see of the process stays. */
  stop(): void {
    this.#ended = true
    this.#settle()
  }

  async end(): Promise<void> {
    this.stop()
    await this.#handle?.end()
  }

  #text(): string {
    return encodeRecord({ ...this.#record, life: this.#life.sign })
  }

  #onLife(life: Life): void {
    if (life.why !== undefined && life.why !== this.#life.why) this.#host?.onUnseen(life.why)
    this.#life = life
    if (this.#host === undefined || this.#ended) return
    this.#judge()
    this.#write()
  }

  /**
   * What others see by the record in the store. While that has another life than the driver told, a further loss may have been the last
   * of it: then it counts as lost, and stays so until the new one is confirmed.
   */
  #judge(): void {
    const { sign, left } = this.#life
    const state = sign === this.#confirmed ? states[left] : left === "all" && this.#state !== "lost" ? "partly" : "lost"
    if (state === this.#state) return
    this.#state = state
    this.#host?.onLife(state)
  }

  #settle(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #write(): void {
    if (this.#writing || this.#ended || this.#text() === this.#written) return
    this.#writing = true
    this.#writeAll()
      .catch((error: unknown) => this.#host?.onFault(error))
      .finally(() => {
        this.#writing = false
      })
  }

  async #writeAll(): Promise<void> {
    let from: string | undefined = this.#written
    while (!this.#ended && this.#text() !== this.#written) {
      const { sign } = this.#life
      const record = this.#text()
      const updated = await this.#send(record, from)
      if (this.#ended) return
      if (updated) {
        this.#written = record
        this.#confirmed = sign
        from = record
        this.#judge()
        continue
      }
      // Dead, as the next renewal says. Should it live, its record is one that nobody wrote: it is replaced.
      from = undefined
      this.#settle()
      this.#host?.onRefused()
      await pause()
    }
    this.#settle()
  }

  /** Until it is answered. */
  async #send(record: string, from: string | undefined): Promise<boolean> {
    for (;;) {
      try {
        return await this.#link.updateMember(this.#pool, { session: this.#session, record }, from)
      } catch {
        if (this.#ended) return false
        await pause()
      }
    }
  }
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, retryMs))
