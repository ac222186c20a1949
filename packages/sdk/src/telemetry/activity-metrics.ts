/** What this process runs of activities, as metrics of Effect: a series for each pool, kind and activity. docs/metrics.md lists them. */
import { Context, Metric } from "effect"
import { Durations } from "./measured.ts"
import { bounds, histogramOf, readOnly } from "./series.ts"

/** Tries of one activity here. */
export class TriesMeasured {
  running = 0
  failed = 0
  /** Of those that are over, ms. */
  readonly durations = new Durations()
  #count = 0

  get count(): number {
    return this.#count
  }

  began(): void {
    this.running++
    this.#count++
  }

  ended(ms: number, failed: boolean): void {
    this.running--
    if (failed) this.failed++
    this.durations.add(ms)
  }
}

interface Shown {
  readonly tries: TriesMeasured
  readonly registrations: ReadonlyArray<Metric.Registration>
  /** Workers of this process that register the activity. */
  users: number
}

const shown = new Map<string, Shown>()

const register = (pool: string, kind: string, activity: string, tries: TriesMeasured): ReadonlyArray<Metric.Registration> => {
  const context = Context.make(Metric.CurrentMetricAttributes, { pool, kind, activity })
  const counter = (id: string, description: string, count: () => number): Metric.Registration =>
    Metric.registerUnsafe(
      Metric.counter(id, { description, incremental: true }),
      context,
      readOnly(() => ({ count: count(), incremental: true })),
    )
  return [
    counter("ponos_activity_tries_total", "Tries of activities that began here", () => tries.count),
    counter("ponos_activity_tries_failed_total", "Tries that failed here; declared errors are answers", () => tries.failed),
    Metric.registerUnsafe(
      Metric.gauge("ponos_activity_tries_running", { description: "Tries of activities that run here" }),
      context,
      readOnly(() => ({ value: tries.running })),
    ),
    Metric.registerUnsafe(
      Metric.histogram("ponos_activity_try_ms", { description: "From the start of a try to its end", boundaries: bounds }),
      context,
      readOnly(() => histogramOf(tries.durations)),
    ),
  ]
}

/** Shows the activities of a worker until the returned function is called; gives the measure of each. */
export const registerActivities = (
  pool: string,
  activities: ReadonlyArray<readonly [kind: string, name: string]>,
): { readonly of: (kind: string, name: string) => TriesMeasured | undefined; readonly end: () => void } => {
  const keyOf = (kind: string, name: string): string => `${pool}\n${kind}\n${name}`
  for (const [kind, name] of activities) {
    const key = keyOf(kind, name)
    const known = shown.get(key)
    if (known === undefined) {
      const tries = new TriesMeasured()
      shown.set(key, { tries, registrations: register(pool, kind, name, tries), users: 1 })
    } else known.users++
  }
  let ended = false
  const end = (): void => {
    if (ended) return
    ended = true
    for (const [kind, name] of activities) {
      const key = keyOf(kind, name)
      const known = shown.get(key)
      if (known === undefined || --known.users > 0) continue
      for (const registration of known.registrations) registration.remove()
      shown.delete(key)
    }
  }
  return { of: (kind, name) => shown.get(keyOf(kind, name))?.tries, end }
}
