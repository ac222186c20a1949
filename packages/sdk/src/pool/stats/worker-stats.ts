/**
 * What one worker counts about itself. Plain numbers, changed in the loops that do the work; whoever wants them reads them (`report`, the
 * metrics in telemetry/metrics.ts). Nothing of it is stored.
 */
import type { CommitReply, ShardStatus, TakeReply } from "../../engine/engine.ts"
import { bucketOf, packHistogram } from "../../telemetry/histogram.ts"
import { Durations, Tally, type Measured, type Sum, type Use, type Waiting } from "../../telemetry/measured.ts"
import type { PoolEvent } from "../events.ts"
import { LoadWindow } from "./window.ts"

/** What a worker tells who asks; JSON on the pool's bus. */
export interface WorkerReport extends Use {
  readonly session: string
  readonly group: string
  readonly utilisation: number
  /** Queueing delays of the window, packed (histogram.ts). */
  readonly delays: ReadonlyArray<number>
}

/** Samples in a slot of the window. */
const samplesPerSlot = 5

export class WorkerStats implements Measured {
  readonly tally = new Tally()
  readonly storeCalls = new Durations()
  readonly handOvers = new Durations()
  readonly window: LoadWindow
  readonly #use: () => Use
  readonly #clock: () => number
  /** Shards held for which the last sweep got no answer. */
  unanswered = 0
  /** Of the shards held, as the last sweep saw them. */
  #waiting: { readonly at: number; readonly ready: number; readonly oldest: number | undefined } = { at: 0, ready: 0, oldest: undefined }
  #loop = performance.eventLoopUtilization()
  #timer: NodeJS.Timeout | undefined

  constructor(windowMs: number, use: () => Use, clock: () => number = () => performance.now()) {
    this.#use = use
    this.#clock = clock
    this.window = new LoadWindow(windowMs, clock())
  }

  start(): void {
    this.#timer ??= setInterval(() => this.sample(), this.window.slotMs / samplesPerSlot).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /**
   * A worker is as busy as what runs out first: the places for runs, or the thread in which they share the processor. The second one counts
   * all that this thread does, of other workers in this process too.
   */
  sample(): void {
    const loop = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(loop, this.#loop)
    this.#loop = loop
    const { running, capacity } = this.#use()
    this.window.sample(this.#clock(), Math.min(1, Math.max(utilization, capacity === 0 ? 0 : running / capacity)))
  }

  /** A handler begins. `since`: when its run became ready, `now`: the time, both by the store's clock. */
  began(since: number | undefined, now: number): void {
    this.tally.begun++
    if (since === undefined) return
    const delayMs = Math.max(0, now - since)
    const { delays } = this.window
    const bucket = bucketOf(delayMs)
    delays[bucket] = (delays[bucket] ?? 0) + 1
    this.window.delaySum += delayMs
  }

  took(replies: ReadonlyArray<TakeReply>, ms: number): void {
    this.tally.takes++
    this.storeCalls.add(ms)
    for (const { status } of replies) if (status === "stale") this.tally.refused++
  }

  wrote(replies: ReadonlyArray<ReadonlyArray<CommitReply>>, ms: number): void {
    const { tally } = this
    tally.commits++
    this.storeCalls.add(ms)
    for (const group of replies) {
      for (const { status, phase } of group) {
        if (status === "stale" || status === "conflict") tally.refused++
        if (status !== "ok") continue
        tally.committed++
        if (phase === "ended") tally.ended++
      }
    }
  }

  swept(statuses: ReadonlyArray<ShardStatus>): void {
    let [ready, oldest] = [0, Number.POSITIVE_INFINITY]
    for (const status of statuses) {
      ready += status.ready + status.due
      oldest = Math.min(oldest, status.oldest ?? oldest)
    }
    this.#waiting = { at: statuses[0]?.now ?? 0, ready, oldest: oldest === Number.POSITIVE_INFINITY ? undefined : oldest }
  }

  happened(event: PoolEvent): void {
    const { tally } = this
    if (event.type === "claimed" || event.type === "rescued") tally.claims++
    if (event.type === "rescued") tally.rescues++
    if (event.type === "deposed") tally.deposed += event.shards.length
    if (event.type !== "released") return
    tally.releases++
    this.handOvers.add(event.ms)
  }

  /** Queueing delays since the worker began. */
  delays(): Sum {
    return { counts: this.window.ever(), sum: this.window.delaySum }
  }

  /** By the last sweep: the store knows better, and is asked by `stats()`. */
  waiting(): Waiting {
    const { at, ready, oldest } = this.#waiting
    return { ready, delayMs: oldest === undefined ? 0 : Math.max(0, at - oldest), unanswered: this.unanswered }
  }

  use(): Use & { readonly utilisation: number } {
    return { ...this.#use(), utilisation: this.window.recent().utilisation }
  }

  report(session: string, group: string): WorkerReport {
    this.window.advance(this.#clock())
    const { delays, utilisation } = this.window.recent()
    return { session, group, ...this.#use(), utilisation, delays: packHistogram(delays) }
  }
}
