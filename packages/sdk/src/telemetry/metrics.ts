/**
 * The numbers of this process's workers as metrics of Effect: whatever exports its registry (Prometheus, OTLP) has them. They are read when
 * somebody collects, so that nobody who does not pays for them. docs/metrics.md lists them.
 *
 * Workers of one pool and group in one process are one series, since a series is found by its name and attributes: their numbers are summed
 * up, and what a worker counted that has left stays, so that counters only grow.
 */
import { Context, Metric } from "effect"
import { addTo } from "./histogram.ts"
import { Durations, Tally, tallyNames, type Measured, type Sum } from "./measured.ts"
import { bounds, histogramOf, readOnly } from "./series.ts"

interface Series {
  readonly pool: string
  readonly group: string
}

interface Totals {
  readonly delays: Durations
  readonly storeCalls: Durations
  readonly handOvers: Durations
  readonly tally: Tally
}

const counters: Readonly<Record<keyof Tally, readonly [name: string, description: string]>> = {
  begun: ["ponos_jobs_started_total", "Runs whose handler began, after a start, a message or a timer"],
  ended: ["ponos_jobs_completed_total", "Runs that ended here, in whatever way"],
  failed: ["ponos_jobs_failed_total", "Attempts that failed"],
  takes: ["ponos_takes_total", "Calls that take work"],
  commits: ["ponos_commits_total", "Calls that write runs back"],
  committed: ["ponos_runs_written_total", "Runs that commits wrote"],
  refused: ["ponos_stale_writes_refused_total", "Takes and writes that the store refused, because the shard or the run was another's"],
  claims: ["ponos_shards_claimed_total", "Shards claimed"],
  rescues: ["ponos_shards_rescued_total", "Shards claimed from workers that died"],
  releases: ["ponos_shards_released_total", "Shards handed over"],
  deposed: ["ponos_shards_deposed_total", "Shards lost: the lease ended, or the store refused"],
}

const gauges = {
  ponos_queueing_delay_ms: [
    "So long has the run waited that waits longest in this process's shards, as of the last sweep",
    (workers) => Math.max(0, ...workers.map((worker) => worker.waiting().delayMs)),
  ],
  ponos_jobs_ready: [
    "Runs that wait in this process's shards, as of the last sweep",
    (workers) => sumOf(workers, (worker) => worker.waiting().ready),
  ],
  ponos_shards_unanswered: [
    "Shards of this process for which the last sweep got no answer: what the two above say of them is older",
    (workers) => sumOf(workers, (worker) => worker.waiting().unanswered),
  ],
  ponos_jobs_running: ["Runs that execute in this process", (workers) => sumOf(workers, (worker) => worker.use().running)],
  ponos_job_capacity: ["Runs that can execute at the same time", (workers) => sumOf(workers, (worker) => worker.use().capacity)],
  ponos_worker_utilisation: [
    "0 to 1, of statsWindowMs: the larger share of places for runs in use, and of time in which the event loop is busy",
    (workers) => sumOf(workers, (worker) => worker.use().utilisation) / Math.max(1, workers.length),
  ],
  ponos_workers: ["Workers in this process", (workers) => workers.length],
} as const satisfies Readonly<Record<string, readonly [string, (workers: ReadonlyArray<Measured>) => number]>>

const histograms = {
  ponos_job_queueing_delay_ms: ["From ready (start, message, timer) to the handler's begin", (totals) => totals.delays],
  ponos_store_call_ms: ["Takes and commits, from sending to the answer", (totals) => totals.storeCalls],
  ponos_shard_hand_over_ms: ["From the abort of a shard's handlers to its release", (totals) => totals.handOvers],
} as const satisfies Readonly<Record<string, readonly [string, (totals: Totals) => Sum]>>

/** The workers of one series. */
class SeriesSource {
  readonly #living = new Set<Measured>()
  /** Of those that left. */
  readonly #gone: Totals = emptyTotals()
  readonly #registrations: ReadonlyArray<Metric.Registration>

  constructor(series: Series) {
    this.#registrations = register(series, this)
  }

  add(stats: Measured): void {
    this.#living.add(stats)
  }

  /** True when nobody is left. */
  remove(stats: Measured): boolean {
    if (this.#living.delete(stats)) addWorker(this.#gone, stats)
    if (this.#living.size > 0) return false
    for (const registration of this.#registrations) registration.remove()
    return true
  }

  workers(): ReadonlyArray<Measured> {
    return [...this.#living]
  }

  count(name: keyof Tally): number {
    return this.#gone.tally[name] + sumOf(this.workers(), ({ tally }) => tally[name])
  }

  totals(): Totals {
    const totals = emptyTotals()
    addWorker(totals, { ...this.#gone, delays: () => this.#gone.delays })
    for (const stats of this.#living) addWorker(totals, stats)
    return totals
  }
}

const sources = new Map<string, SeriesSource>()

/** Shows a worker's numbers until the returned function is called. */
export const registerMetrics = (series: Series, stats: Measured): (() => void) => {
  const name = `${series.pool}\n${series.group}`
  const source = sources.get(name) ?? new SeriesSource(series)
  sources.set(name, source)
  source.add(stats)
  return () => {
    if (source.remove(stats) && sources.get(name) === source) sources.delete(name)
  }
}

const sumOf = (workers: ReadonlyArray<Measured>, of: (worker: Measured) => number): number =>
  workers.reduce((sum, worker) => sum + of(worker), 0)

const emptyTotals = (): Totals => ({ delays: new Durations(), storeCalls: new Durations(), handOvers: new Durations(), tally: new Tally() })

const addSum = (sum: Durations, more: Sum): void => {
  addTo(sum.counts, more.counts)
  sum.sum += more.sum
}

const addWorker = (totals: Totals, measured: Omit<Measured, "use" | "waiting">): void => {
  addSum(totals.storeCalls, measured.storeCalls)
  addSum(totals.handOvers, measured.handOvers)
  addSum(totals.delays, measured.delays())
  for (const name of tallyNames) totals.tally[name] += measured.tally[name]
}

const register = ({ pool, group }: Series, source: SeriesSource): ReadonlyArray<Metric.Registration> => {
  // the registry that all programs of the process share, with the attributes of the series
  const context = Context.make(Metric.CurrentMetricAttributes, { pool, group })
  return [
    ...tallyNames.map((name) => {
      const [id, description] = counters[name]
      const state = readOnly(() => ({ count: source.count(name), incremental: true }))
      return Metric.registerUnsafe(Metric.counter(id, { description, incremental: true }), context, state)
    }),
    ...Object.entries(gauges).map(([id, [description, read]]) =>
      Metric.registerUnsafe(
        Metric.gauge(id, { description }),
        context,
        readOnly(() => ({ value: read(source.workers()) })),
      ),
    ),
    ...Object.entries(histograms).map(([id, [description, read]]) =>
      Metric.registerUnsafe(
        Metric.histogram(id, { description, boundaries: bounds }),
        context,
        readOnly(() => histogramOf(read(source.totals()))),
      ),
    ),
  ]
}
