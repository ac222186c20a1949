/**
 * Who dispatches and wants to know whether the job was started: the dispatch carries an address, and the worker answers there, on the bus,
 * when the loop that got the job has gone on, or refused it. The answer may be lost; then the run's record tells.
 */
import type { Engine, RunRecord, Unsubscribe } from "../engine/engine.ts"
import { ShortLivedMap } from "../engine/short-lived.ts"
import { JobRefused, WaitTimeout } from "../errors.ts"
import { settlesWithin } from "./loop.ts"
import { refusalOf } from "./payload.ts"

export type StartAnswer =
  | { readonly run: string; readonly status: "started"; readonly session: string }
  | { readonly run: string; readonly status: "refused"; readonly reason: string }

export interface StartsHost {
  readonly engine: Engine
  readonly pool: string
  /** Of this process: part of the channel's name. */
  readonly id: string
}

/** How often the record is looked at, and how long a running job may be silent until its answer counts as lost. */
const lookMs = 250
const silentMs = 1_000

export const startsChannel = (id: string): string => `starts:${id}`

export class Starts {
  readonly #host: StartsHost
  readonly #waiting = new ShortLivedMap<string, (answer: StartAnswer) => void>()
  #channel: Promise<Unsubscribe> | undefined

  constructor(host: StartsHost) {
    this.#host = host
  }

  /** To be called before the dispatch. */
  async listen(): Promise<void> {
    const { engine, pool, id } = this.#host
    this.#channel ??= engine
      .subscribe(pool, startsChannel(id), (text) => {
        const answer = JSON.parse(text) as StartAnswer
        this.#waiting.get(answer.run)?.(answer)
      })
      .catch((error: unknown) => {
        this.#channel = undefined
        throw error
      })
    await this.#channel
  }

  /** Whom to answer, and the answer when it is here. Begins to wait now. */
  expect(run: string): { readonly answer: Promise<StartAnswer>; readonly forget: () => void } {
    const { promise, resolve } = Promise.withResolvers<StartAnswer>()
    this.#waiting.set(run, resolve)
    return { answer: promise, forget: () => this.#waiting.delete(run) }
  }

  /** The session that started the run; undefined when its answer was lost. Throws `JobRefused`, or `WaitTimeout` when nobody took it in time. */
  async wait(key: string, run: string, timeoutMs: number, answer: Promise<StartAnswer>, read: () => Promise<RunRecord | undefined>) {
    const end = performance.now() + timeoutMs
    const late = (): Error =>
      new WaitTimeout(`no worker started the job "${key}" within ${timeoutMs} ms: it waits for one, stop it if it should not`, {
        key,
        timeoutMs,
      })
    let runningSince = Number.POSITIVE_INFINITY
    for (;;) {
      const left = end - performance.now()
      const heard = await within(answer, Math.max(0, Math.min(lookMs, left)))
      if (heard?.status === "started") return heard.session
      if (heard?.status === "refused") throw refused(key, heard.reason)
      const reading = read()
      // A store that does not answer has a deadline of its own, which may be much later.
      if (!(await settlesWithin(reading, Math.max(lookMs, end - performance.now())))) throw late()
      const record = await reading
      // Another run of the key: this one has been, and ended.
      if (record === undefined || record.run !== run) return undefined
      if (record.phase === "ended") {
        const reason = refusalOf(record.outcome ?? "")
        if (reason !== undefined) throw refused(key, reason)
        return undefined
      }
      if (record.phase === "active") runningSince = Math.min(runningSince, performance.now())
      if (performance.now() - runningSince >= silentMs) return undefined
      if (left <= 0) throw late()
    }
  }

  async close(): Promise<void> {
    const channel = this.#channel
    if (channel !== undefined) await channel.then((unsubscribe) => unsubscribe()).catch(() => undefined)
  }
}

const refused = (key: string, reason: string): Error =>
  new JobRefused(`a worker refused to start the job "${key}": ${reason}. The key is free.`, { key, reason })

const within = async (answer: Promise<StartAnswer>, ms: number): Promise<StartAnswer | undefined> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, ms, undefined)))
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
