/**
 * S5 for `onOverrun: "exit"`, from the lease thread: ends the process whose main loop does not handle the end of its trust. SIGKILL, because
 * `process.exit` in a thread ends only the thread. A loop that turns handles it itself (session: what has not settled ends the process).
 *
 * Others may take over `marginMs` after the end of trust at the earliest, as they saw the renewal after it was sent.
 */
import { describeBlock, say, type LoopWatch } from "./loop-watch.ts"

/** From the end of trust until the loop has said that it handled it: less than `marginMs`; what settles in the very turn has 20 ms of these. */
export const answerMs = 80

export class Overrun {
  readonly #clock: () => number
  readonly #loop: Pick<LoopWatch, "blocked">
  #abortedAt: number | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(clock: () => number, loop: Pick<LoopWatch, "blocked">) {
    this.#clock = clock
    this.#loop = loop
  }

  abort(): void {
    this.#abortedAt = this.#clock()
  }

  depose(): void {
    // It was told before and has had its time. Aborted and deposed in one turn (after a freeze) it gets it now.
    if (this.#abortedAt !== undefined && this.#clock() - this.#abortedAt >= answerMs) this.#end()
    this.#timer = setTimeout(() => this.#end(), answerMs)
  }

  handled(what: "abort" | "depose"): void {
    this.#abortedAt = undefined
    if (what === "depose") clearTimeout(this.#timer)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #end(): void {
    const { blocked } = this.#loop
    say(
      `ends this process (SIGKILL): its lease is over, and its event loop${blocked === undefined ? "" : `, blocked${describeBlock(blocked)},`} ` +
        'does not answer (onOverrun: "exit").',
    )
    process.kill(process.pid, "SIGKILL")
  }
}
