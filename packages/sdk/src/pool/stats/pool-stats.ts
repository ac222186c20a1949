/** `stats()`: how long runs wait, how much runs, and how many workers it takes; by group and in total. */
import type { Engine, ShardQueue } from "../../engine/engine.ts"
import { BadOption } from "../../errors.ts"
import { readOptions, refuseUnknown } from "../../options.ts"
import { decodeAssignment } from "../placement.ts"
import { decodeRecord, type MemberRecord } from "../record.ts"
import { answerChannel, questionChannel } from "./answerer.ts"
import { addPacked, addTo, emptyHistogram, quantile, type Histogram } from "../../telemetry/histogram.ts"
import { recommend, type Advice, type GroupLoad, type Targets } from "./recommend.ts"
import { QueueReader } from "./shard-queues.ts"
import type { WorkerReport } from "./worker-stats.ts"

/** Of a group, or of all groups together. */
export interface LoadStats {
  /** From the time at which a run became ready (by a start, a message, its timer) until its handler began, ms. */
  readonly queueingDelayMs: {
    /** So long has the run waited that waits longest; 0 when none does. From the store: also when there is no worker. */
    readonly now: number
    /** Of the handlers that began in the last `statsWindowMs`; at most an eighth too high; 0 when none began. */
    readonly p50: number
    readonly p99: number
  }
  /** Runs that wait: ready, or parked with a timer that is due. */
  readonly ready: number
  /** Runs that workers have taken and not written back. */
  readonly running: number
  /** Living workers that do not leave. */
  readonly workers: number
  /** Of these, those that did not say in time how they are: they count as fully used, with no capacity and no delays. */
  readonly silent: number
  /** Runs that can execute at the same time. */
  readonly capacity: number
  /**
   * 0 … 1, the mean of the workers over the last `statsWindowMs`. A worker's is the larger of two shares: of its places for runs that are in
   * use, and of time for which its event loop is busy.
   */
  readonly utilisation: number
  /** See recommend.ts for what it promises. */
  readonly recommendedWorkers: number
  /**
   * Shards of which nothing is known, because their server (a primary of a cluster) did not answer: what waits and runs in them is not in
   * `queueingDelayMs.now`, `ready` and `running`, and no fewer workers are recommended. Empty where all answered.
   */
  readonly shardsUnknown: ReadonlyArray<number>
}

export interface PoolStats extends LoadStats {
  /** Store time, epoch ms. */
  readonly at: number
  readonly groups: Readonly<Record<string, LoadStats>>
}

const targetNames = ["targetDelayMs", "targetUtilisation", "minWorkers", "maxWorkers", "scaleDownMs"] as const

/** What `recommendedWorkers` aims at, for each group. */
export interface StatsOptions extends Partial<Targets> {}

export const readTargets = (given: StatsOptions): Targets => {
  refuseUnknown(given, targetNames, "stats")
  const targets = readOptions({ ...given }, targetNames)
  if (targets.minWorkers > targets.maxWorkers)
    throw new BadOption(`expected minWorkers to be at most maxWorkers (${targets.maxWorkers}), got: ${targets.minWorkers}`, {
      option: "minWorkers",
    })
  return targets
}

/** A worker that blocks its loop for longer is silent. */
const answerMs = 500
const askAgainMs = 100

interface GroupSum {
  workers: number
  answered: number
  capacity: number
  busy: number
  readonly delays: Histogram
  readonly queues: Array<ShardQueue>
  readonly unknown: Array<number>
}

const emptyGroup = (): GroupSum => ({ workers: 0, answered: 0, capacity: 0, busy: 0, delays: emptyHistogram(), queues: [], unknown: [] })

/** Remembers what it recommended: fewer workers are a matter of time. */
export class StatsReader {
  readonly #pool: string
  readonly #open: () => Promise<{ readonly engine: Engine; readonly shards: number }>
  readonly #advice = new Map<string, Advice>()
  readonly #queues = new QueueReader()

  constructor(pool: string, open: () => Promise<{ readonly engine: Engine; readonly shards: number }>) {
    this.#pool = pool
    this.#open = open
  }

  /**
   * Of the shards that answer (`shardsUnknown`). Throws `StoreUnavailable` when none does, or who has the pool's own record (its workers and groups)
   * does not.
   */
  async read(options: StatsOptions = {}): Promise<PoolStats> {
    const targets = readTargets(options)
    const { engine, shards } = await this.#open()
    const [{ queues, unknown }, members, assignment] = await Promise.all([
      this.#queues.read(engine, this.#pool, shards),
      staying(engine, this.#pool),
      engine.assignment(this.#pool),
    ])
    const reports = await ask(
      engine,
      this.#pool,
      members.map(({ session }) => session),
    )
    const groupOf = decodeAssignment(assignment.value)?.groupOf ?? []
    const sums = new Map<string, GroupSum>()
    const sumOf = (group: string): GroupSum => {
      const sum = sums.get(group) ?? emptyGroup()
      sums.set(group, sum)
      return sum
    }
    for (const { group, session } of members) addWorker(sumOf(group), reports.get(session))
    const ofShard = (shard: number): GroupSum => sumOf(groupOf[shard] || defaultOf(sums))
    for (const queue of queues) ofShard(queue.shard).queues.push(queue)
    for (const shard of unknown) ofShard(shard).unknown.push(shard)
    const at = queues[0]?.now ?? 0
    const groups = Object.fromEntries(
      [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([group, sum]) => [group, this.#group(group, sum, at, targets)]),
    )
    for (const group of this.#advice.keys()) if (!sums.has(group)) this.#advice.delete(group)
    return { at, ...total(Object.values(groups), sums.values()), groups }
  }

  #group(group: string, sum: GroupSum, at: number, targets: Targets): LoadStats {
    const { queues, unknown } = sum
    const ready = queues.reduce((count, queue) => count + queue.ready + queue.due, 0)
    const running = queues.reduce((count, queue) => count + queue.active, 0)
    const now = queues.reduce((most, { now: read, oldest }) => Math.max(most, oldest === undefined ? 0 : read - oldest), 0)
    const utilisation = meanOf(sum)
    const load: GroupLoad = { at, workers: sum.workers, ready, running, delayMs: now, utilisation, partial: unknown.length > 0 }
    const advice = recommend(this.#advice.get(group), load, targets)
    this.#advice.set(group, advice)
    return {
      queueingDelayMs: { now, p50: quantile(sum.delays, 0.5), p99: quantile(sum.delays, 0.99) },
      ready,
      running,
      workers: sum.workers,
      silent: sum.workers - sum.answered,
      capacity: sum.capacity,
      utilisation,
      recommendedWorkers: advice.recommended,
      shardsUnknown: unknown,
    }
  }
}

const staying = async (engine: Engine, pool: string): Promise<ReadonlyArray<MemberRecord>> => {
  const { members } = await engine.members(pool)
  return members.map(({ record }) => decodeRecord(record)).filter(({ leaving }) => !leaving)
}

/** Answers by session; those that do not come within `answerMs` are missing. */
const ask = async (engine: Engine, pool: string, sessions: ReadonlyArray<string>): Promise<ReadonlyMap<string, WorkerReport>> => {
  const reports = new Map<string, WorkerReport>()
  if (sessions.length === 0) return reports
  const { promise: complete, resolve } = Promise.withResolvers<void>()
  const missing = new Set(sessions)
  const channel = answerChannel(crypto.randomUUID())
  const unsubscribe = await engine.subscribe(pool, channel, (text) => {
    const report = JSON.parse(text) as WorkerReport
    if (!missing.delete(report.session)) return
    reports.set(report.session, report)
    if (missing.size === 0) resolve()
  })
  const send = (): void => void engine.publish(pool, questionChannel, channel).catch(() => undefined)
  const again = setInterval(send, askAgainMs)
  const end = setTimeout(resolve, answerMs)
  send()
  await complete
  clearInterval(again)
  clearTimeout(end)
  await unsubscribe().catch(() => undefined)
  return reports
}

/** Whose are shards that no assignment names yet. */
const defaultOf = (sums: ReadonlyMap<string, GroupSum>): string => (sums.size === 1 ? ([...sums.keys()][0] ?? "default") : "default")

const addWorker = (sum: GroupSum, report: WorkerReport | undefined): void => {
  sum.workers++
  if (report === undefined) {
    sum.busy++
    return
  }
  sum.answered++
  sum.capacity += report.capacity
  sum.busy += report.utilisation
  addPacked(sum.delays, report.delays)
}

const meanOf = ({ workers, busy }: Pick<GroupSum, "workers" | "busy">): number => (workers === 0 ? 0 : busy / workers)

const total = (groups: ReadonlyArray<LoadStats>, sums: Iterable<GroupSum>): LoadStats => {
  const sum = (of: (stats: LoadStats) => number): number => groups.reduce((all, group) => all + of(group), 0)
  const delays = emptyHistogram()
  let busy = 0
  for (const group of sums) {
    addTo(delays, group.delays)
    busy += group.busy
  }
  const workers = sum((group) => group.workers)
  return {
    queueingDelayMs: {
      now: groups.reduce((most, { queueingDelayMs }) => Math.max(most, queueingDelayMs.now), 0),
      p50: quantile(delays, 0.5),
      p99: quantile(delays, 0.99),
    },
    ready: sum((group) => group.ready),
    running: sum((group) => group.running),
    workers,
    silent: sum((group) => group.silent),
    capacity: sum((group) => group.capacity),
    utilisation: meanOf({ workers, busy }),
    recommendedWorkers: sum((group) => group.recommendedWorkers),
    shardsUnknown: groups.flatMap((group) => group.shardsUnknown).toSorted((a, b) => a - b),
  }
}
