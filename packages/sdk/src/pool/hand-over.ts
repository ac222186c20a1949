/**
 * Gives shards up (A5, S5): stop taking → abort → settle and close → flush → release, in waves, so that a job is away for the time of its
 * wave and not of all.
 *
 * - H1 A shard is released only when its handlers have settled, or at the deadline, which is reported (`overrun`). With `onOverrun: "exit"`
 *   it is never released under a handler that runs: what has settled is released, then the process ends.
 * - H2 Until its wave begins, a shard runs as before, and one that is assigned to this session again meanwhile stays.
 * - H3 A wave begins when the one before it has left, or after `paceMs`: one slow handler holds up no other shard, and the last wave begins in
 *   the first part of the time until the deadline.
 * - H4 A shard that is lost already (`deposed`) is given up at once, without a release.
 */
import type { Engine, ReleaseItem } from "../engine/engine.ts"
import { ShardBatcher } from "../engine/shard-batcher.ts"
import { StoreUnavailable } from "../errors.ts"
import type { GiveUpReason, ShardConsumer } from "./consumer.ts"
import type { PoolEvent } from "./events.ts"
import { settlesWithin } from "./loop.ts"
import type { OnOverrun } from "./options.ts"
import type { ShardRunner } from "./shard-runner.ts"

export interface HandOverHost {
  readonly engine: Engine
  readonly pool: string
  readonly consumer: ShardConsumer
  readonly clock: () => number
  readonly emit: (event: PoolEvent) => void
  readonly onFault: (error: unknown) => void
  readonly onOverrun: OnOverrun
  readonly drainMs: number
  /** A shard that moves runs on for so long, while its next owner subscribes. */
  readonly subscribeMs: number
  /** The shard is not held any more, and nothing is taken from it. */
  readonly forget: (runner: ShardRunner) => void
  /** Held, and assigned to another session. */
  readonly foreign: (runner: ShardRunner) => boolean
  /** A shard has left: it may be claimed again. */
  readonly onLeft: () => void
}

/**
 * A wave: so many shards, or fewer with so many jobs. Measured with 670 jobs on 85 shards that leave one of three processes on two cores: in
 * waves a job was away for 9 ms (p50) and 15 ms (p99), all at once for 29 and 42 ms.
 */
const waveShards = 8
const waveJobs = 64
const paceMs = 25
/** Of the time until the deadline: what begins last is to have most of it too. */
const paceShare = 0.25
const retryMs = 50
const restMs = 5
/** What was aborted in the very turn in which trust was found to have ended (after a freeze) gets this long to settle before the process ends. */
const settleTurnMs = 20

interface Leaving {
  readonly runner: ShardRunner
  readonly left: Promise<void>
  /** Its handlers run beyond the deadline. */
  overrun: boolean
}

export class HandOver {
  readonly #host: HandOverHost
  readonly #leaving = new Map<number, Leaving>()
  readonly #releases: ShardBatcher<ReleaseItem, "released" | "stale">
  /** Shards that are to move, by the time from which they may. */
  readonly #moving = new Map<ShardRunner, number>()
  #pumping = false

  constructor(host: HandOverHost) {
    this.#host = host
    this.#releases = ShardBatcher.of(host.engine, host.pool, (items) => host.engine.release(host.pool, items))
  }

  /** The shard is being given up: until its handlers have settled it is not claimed again here. */
  leaves(shard: number): boolean {
    return this.#leaving.has(shard)
  }

  async allLeft(): Promise<void> {
    await Promise.all([...this.#leaving.values()].map(({ left }) => left))
  }

  /** The assignment gives the shard to another session. May be said again and again. */
  move(runner: ShardRunner): void {
    if (this.#moving.has(runner) || runner.closing) return
    this.#moving.set(runner, this.#host.clock() + (this.#busy([runner]) ? this.#host.subscribeMs : 0))
    if (!this.#pumping) this.#pump().catch(this.#host.onFault)
  }

  async #pump(): Promise<void> {
    const { clock, drainMs, foreign } = this.#host
    this.#pumping = true
    try {
      while (this.#moving.size > 0) {
        for (const runner of this.#moving.keys()) if (!foreign(runner)) this.#moving.delete(runner)
        const now = clock()
        const ripe = [...this.#moving].filter(([, from]) => from <= now).map(([runner]) => runner)
        if (ripe.length > 0) await this.#wave(this.#next(ripe), "moved", now + drainMs, paceMs)
        else if (this.#moving.size > 0) await pause(restMs)
      }
    } finally {
      this.#pumping = false
    }
  }

  /** Waits until `until`, or until nothing runs that an abort could interrupt. */
  async rest(runners: () => Iterable<ShardRunner>, until: number): Promise<void> {
    while (this.#host.clock() < until && this.#busy(runners())) await pause(restMs)
  }

  /** All shards that are held; resolves when the last wave has begun. */
  async giveUpAll(held: () => ReadonlyArray<ShardRunner>, reason: GiveUpReason, until: number): Promise<void> {
    for (let rest = held(); rest.length > 0; rest = held()) {
      const next = this.#next(rest)
      const share = ((until - this.#host.clock()) * paceShare * next.length) / rest.length
      await this.#wave(next, reason, until, Math.min(paceMs, share))
    }
  }

  /** Those of the next wave. Where nothing runs, nobody waits: all of them go first. */
  #next(runners: ReadonlyArray<ShardRunner>): ReadonlyArray<ShardRunner> {
    const { consumer } = this.#host
    const idle = runners.filter((runner) => !this.#busy([runner]))
    if (idle.length > 0) return idle
    let jobs = 0
    const some: Array<ShardRunner> = []
    for (const runner of runners.slice(0, waveShards)) {
      jobs += consumer.executing(runner).size
      if (some.length > 0 && jobs > waveJobs) break
      some.push(runner)
    }
    return some
  }

  #busy(runners: Iterable<ShardRunner>): boolean {
    for (const runner of runners) if (this.#host.consumer.executing(runner).size > 0) return true
    return false
  }

  async #wave(runners: ReadonlyArray<ShardRunner>, reason: GiveUpReason, until: number, pace: number): Promise<void> {
    const leaving = runners.map((runner) => this.giveUp(runner, reason, Math.max(0, until - this.#host.clock())))
    await settlesWithin(Promise.all(leaving), Math.max(0, pace))
  }

  /** Resolves when the shard has left; never rejects. */
  giveUp(runner: ShardRunner, reason: GiveUpReason, withinMs = this.#host.drainMs): Promise<void> {
    const known = this.#leaving.get(runner.shard)
    if (known !== undefined) return known.left
    this.#moving.delete(runner)
    this.#host.forget(runner)
    runner.abort(reason)
    const { promise, resolve } = Promise.withResolvers<void>()
    const leaving: Leaving = { runner, left: promise, overrun: false }
    this.#leaving.set(runner.shard, leaving)
    this.#leave(leaving, reason, withinMs)
      .catch(this.#host.onFault)
      .finally(() => {
        this.#leaving.delete(runner.shard)
        resolve()
        this.#host.onLeft()
      })
      .catch(this.#host.onFault)
    return promise
  }

  async #leave(leaving: Leaving, reason: GiveUpReason, withinMs: number): Promise<void> {
    const { consumer, clock, emit, onOverrun } = this.#host
    const { runner } = leaving
    const from = clock()
    if (!(await settlesWithin(consumer.giveUp(runner, reason), withinMs))) {
      leaving.overrun = true
      emit({ type: "overrun", shard: runner.shard, reason, addresses: [...consumer.executing(runner)] })
      if (onOverrun === "exit" && reason !== "deposed") await this.#exit()
    }
    if (reason !== "deposed") await this.#release(runner, reason, from, reason === "drain" ? from + withinMs : Number.POSITIVE_INFINITY)
    runner.close()
  }

  /** H1. The others leave first: what they had is not to wait for somebody to see that this process died. */
  async #exit(): Promise<void> {
    await Promise.all([...this.#leaving.values()].filter(({ overrun }) => !overrun).map(({ left }) => left))
    process.kill(process.pid, "SIGKILL")
  }

  /** Repeated until it is answered. In a drain that has no more time the shard is free as well: its session leaves. */
  async #release(runner: ShardRunner, reason: GiveUpReason, from: number, until: number): Promise<void> {
    const { shard, session, epoch, writes } = runner
    while (runner.trusted()) {
      try {
        const reply = await this.#releases.add({ shard, session, epoch, writes })
        if (reply === "released") this.#host.emit({ type: "released", shard, epoch, reason, ms: this.#host.clock() - from })
        return
      } catch (error) {
        if (!StoreUnavailable.is(error)) throw error
        if (this.#host.clock() >= until) return
        await pause(retryMs)
      }
    }
  }

  /** Trust has ended: what has not settled since its abort must not see it again, should a later renewal succeed (S5). */
  closeAll(): void {
    for (const { runner } of this.#leaving.values()) runner.close()
  }

  /** S5. SIGKILL, because nothing in this process may run on: neither `exit` handlers nor user code that never yields to them. */
  exitUnsettledSoon(): void {
    const { consumer, emit, onOverrun } = this.#host
    if (onOverrun !== "exit") return
    setTimeout(() => {
      let unsettled = false
      for (const { runner } of this.#leaving.values()) {
        const addresses = [...consumer.executing(runner)]
        if (runner.trusted() || addresses.length === 0) continue
        unsettled = true
        emit({ type: "overrun", shard: runner.shard, reason: "deposed", addresses })
      }
      if (unsettled) process.kill(process.pid, "SIGKILL")
    }, settleTurnMs)
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
