/**
 * Sees from the lease thread that the main loop does not turn (S4), says so on stderr while it lasts, and tells afterwards.
 *
 * Who blocks is asked of the main thread itself, over the inspector: `Debugger.pause` stops it at its next step also in an endless loop, a
 * regular expression or `Atomics.wait`, then the paused frame tells whose code it is (work.ts) and where. Measured on Node 26.10 and 22.18:
 * known after 30 ms, of which the main thread stands still for 2. Out of native code (`execSync`, a long query) it answers when that returns;
 * until then the line on stderr names nobody. The other way, a marker in shared memory of what the runtime last handed control to, costs
 * something in every call, and is wrong as soon as a handler waits for anything of its own.
 *
 * - Nothing is asked while somebody debugs the process: to resume would be to resume from his breakpoint.
 * - A thread that did not run itself is no witness: its own clock stood still, and so did the loop's. The process was frozen, or given no processor
 *   time. That is told as what it is (`onSuspended`), and is no part of the time for which the loop counts as blocked.
 */
import { writeSync } from "node:fs"
import type { BlockedLoop } from "./events.ts"
import type { LeaseMemory } from "./lease-memory.ts"
import type { Work } from "./work.ts"
import { whoExpression } from "./work.ts"

/** Of a loop that is blocked, as far as it could be seen. */
export interface Sight {
  readonly work: (Omit<Work, "step"> & { readonly step?: string }) | undefined
  readonly stack: string
}

export interface Watched {
  readonly memory: LeaseMemory
  readonly maxStallMs: number
}

export interface LoopWatchHost {
  readonly clock: () => number
  /** The loop turns again. */
  readonly onBlocked: (blocked: BlockedLoop) => void
  /** The whole process stood still for `maxStallMs` or more, and goes on. */
  readonly onSuspended: (ms: number) => void
  readonly look?: (valid: () => boolean) => Promise<Sight | undefined>
}

interface Block {
  /** The last beat before it. */
  readonly since: number
  /** For how long the watch itself did not run since then. */
  still: number
  sight: Sight | undefined
  asked: Promise<void>
}

const framesMax = 6
/** An answer that did not come so long after the loop turned again does not come. */
const lastWordMs = 100
/** After so long without an answer the line on stderr is written without it. */
const patienceMs = 1_000

/** The main thread's stderr would wait for the main thread. */
export const say = (text: string): void => {
  try {
    writeSync(2, `ponos: ${text}\n`)
  } catch {
    // A pipe that is full or closed: nobody reads.
  }
}

export const describeBlock = ({ kind, key, step, stack }: Omit<BlockedLoop, "ms">): string => {
  const who = kind === undefined ? "" : ` by ${kind}/${key}${step === undefined ? "" : `, step ${JSON.stringify(step)}`}`
  if (stack === undefined) return `${who} in native code, or for want of processor time (it did not tell where)`
  return stack === "" ? `${who} in code of Node` : `${who} at ${stack.split("\n")[0] ?? ""}`
}

export class LoopWatch {
  readonly #host: LoopWatchHost
  readonly #watched = new Map<string, Watched>()
  #timer: NodeJS.Timeout | undefined
  #lookedAt = 0
  #periodMs = 0
  /** For how long it did not run itself since the last beat. */
  #still = 0
  #beatAt = 0
  #block: Block | undefined
  /** Settles when all that is over is told. */
  told: Promise<void> = Promise.resolve()

  constructor(host: LoopWatchHost) {
    this.#host = host
  }

  watch(session: string, watched: Watched): void {
    this.#watched.set(session, watched)
    this.#arm()
  }

  /** Whoever asks for it turns. */
  unwatch(session: string): void {
    if (this.#block !== undefined) this.#over(this.#block, this.#clock())
    this.#watched.delete(session)
    this.#arm()
  }

  #clock(): number {
    return this.#host.clock()
  }

  /** Of the loop that is blocked now. */
  get blocked(): BlockedLoop | undefined {
    return this.#block === undefined ? undefined : { ms: blockedMs(this.#block, this.#clock()), ...seenIn(this.#block) }
  }

  get #maxStallMs(): number {
    return Math.min(...[...this.#watched.values()].map(({ maxStallMs }) => maxStallMs))
  }

  #arm(): void {
    clearInterval(this.#timer)
    this.#lookedAt = this.#clock()
    this.#still = 0
    if (this.#watched.size === 0) return
    this.#periodMs = Math.min(250, Math.max(10, this.#maxStallMs / 4))
    this.#timer = setInterval(() => this.#check(), this.#periodMs)
  }

  #check(): void {
    const now = this.#clock()
    const beatAt = Math.max(...[...this.#watched.values()].map(({ memory }) => memory.beatAt))
    const pause = now - this.#lookedAt
    this.#lookedAt = now
    if (beatAt > this.#beatAt) this.#still = 0
    this.#beatAt = beatAt
    // From the second period on: on a busy machine it is late by less.
    const still = pause >= 2 * this.#periodMs ? pause : 0
    if (still >= this.#maxStallMs) this.#host.onSuspended(Math.round(still))
    if (this.#block !== undefined) {
      this.#block.still += still
      if (beatAt > this.#block.since) this.#over(this.#block, beatAt)
      return
    }
    // What it beat since it goes on, it beat after the pause.
    this.#still += Math.min(still, now - beatAt)
    if (now - beatAt - this.#still >= this.#maxStallMs) this.#begin(beatAt)
  }

  #begin(since: number): void {
    const block: Block = { since, still: this.#still, sight: undefined, asked: Promise.resolve() }
    this.#block = block
    const debugged = [...this.#watched.values()].some(({ memory }) => memory.debugged)
    const valid = (): boolean => [...this.#watched.values()].every(({ memory }) => memory.beatAt <= since)
    let said = false
    const sayIt = (): void => {
      if (said || !valid()) return
      said = true
      say(
        `the event loop of this process has been blocked for ${blockedMs(block, this.#clock())} ms${describeBlock(seenIn(block))}. ` +
          "Its lease is not renewed meanwhile. Move that work off the loop, to a worker thread or another process.",
      )
    }
    if (debugged) return sayIt()
    const patience = setTimeout(sayIt, patienceMs)
    block.asked = (this.#host.look ?? lookAtMain)(valid)
      .then((sight) => void (block.sight = sight))
      .catch(() => undefined)
      .finally(() => {
        clearTimeout(patience)
        sayIt()
      })
  }

  #over(block: Block, beatAt: number): void {
    this.#block = undefined
    const ms = blockedMs(block, beatAt)
    const late = new Promise<void>((resolve) => setTimeout(resolve, lastWordMs))
    this.told = Promise.race([block.asked, late]).then(() => this.#host.onBlocked({ ms, ...seenIn(block) }))
  }
}

/** Without the time for which the whole process stood still. */
const blockedMs = ({ since, still }: Block, until: number): number => Math.max(0, Math.round(until - since - still))

const seenIn = ({ sight }: Block): Omit<BlockedLoop, "ms"> => (sight === undefined ? {} : { ...sight.work, stack: sight.stack })

/** Resolves without a sight when the loop turned before it could be stopped. `valid`: it has not turned yet. */
export const lookAtMain = async (valid: () => boolean): Promise<Sight | undefined> => {
  const { Session } = await import("node:inspector")
  const session = new Session()
  session.connectToMainThread()
  const { promise, resolve } = Promise.withResolvers<Sight | undefined>()
  // Nothing is to be seen any more in a loop that turns: without the session it runs on.
  const watch = setInterval(() => valid() || resolve(undefined), 10)
  const urls = new Map<string, string>()
  session.on("Debugger.scriptParsed", ({ params: { scriptId, url } }) => urls.set(scriptId, url))
  session.on("Debugger.paused", ({ params: { callFrames } }) => {
    const frames = callFrames.map(({ functionName, location }) => ({ functionName, location, url: urls.get(location.scriptId) ?? "" }))
    const stack = frames
      .filter(({ url }) => !url.startsWith("node:"))
      .slice(0, framesMax)
      .map(({ functionName, url, location }) => {
        const place = `${url}:${location.lineNumber + 1}:${(location.columnNumber ?? 0) + 1}`
        return functionName === "" ? place : `${functionName} (${place})`
      })
      .join("\n")
    // in no frame, whose names may hide the global ones: code of Node has its own `Symbol`, or has it not
    session.post("Runtime.evaluate", { expression: whoExpression, returnByValue: true }, (error, answer) => {
      const work = error === null ? (answer.result.value as Sight["work"]) : undefined
      session.post("Debugger.resume", () => resolve(valid() ? { work, stack } : undefined))
    })
  })
  try {
    session.post("Debugger.enable")
    session.post("Debugger.pause")
    return await promise
  } finally {
    clearInterval(watch)
    session.post("Debugger.disable")
    session.disconnect()
  }
}
