/** A burst of pictures, an autoscaler, and what became of them. */
import { setTimeout as sleep } from "node:timers/promises"
import { supervise } from "@ponos/sdk/supervisor"
import { autoscale } from "./autoscaler.ts"
import { createClient } from "./ponos.gen/client.ts"

export interface RunOptions {
  readonly pool: string
  /** Default: the environment's `PONOS_STORE`. */
  readonly store?: string
  /** Pictures of the burst. */
  readonly pictures: number
  readonly minWorkers: number
  readonly maxWorkers: number
  readonly onLine: (line: string) => void
}

export interface Look {
  /** Ms since the burst. */
  readonly at: number
  /** Workers that have joined. */
  readonly workers: number
  readonly processes: number
  readonly ready: number
  readonly delayMs: number
}

export interface Outcome {
  readonly looks: ReadonlyArray<Look>
  /** Pictures whose run ended as its handler said. */
  readonly done: number
  /** Every process ended well. */
  readonly clean: boolean
}

const targetDelayMs = 500
const everyMs = 250
/** Between two lines, unless the number of workers changed. */
const lineMs = 1_000
/** After this the demo does not wait any longer for what should have happened. */
const patienceMs = 100_000

export const run = async ({ pool, store, pictures, minWorkers, maxWorkers, onLine }: RunOptions): Promise<Outcome> => {
  const client = createClient(store === undefined ? { pool } : { pool, store })
  const supervisor = await supervise({
    module: new URL("worker.ts", import.meta.url),
    args: store === undefined ? [pool] : [pool, store],
    processes: minWorkers,
    signals: false,
    onEvent: (event) => {
      if (event.type === "scaling") onLine(`         scaling from ${event.from} to ${event.to}`)
      if (event.type === "gaveUp") onLine(event.error.message)
    },
    onLine: (line, number) => onLine(`worker ${number}: ${line}`),
  })
  const looks: Array<Look> = []
  let begun: number | undefined
  let shownAt = Number.NEGATIVE_INFINITY
  let shownWorkers = -1
  const stop = autoscale({
    supervisor,
    stats: (targets) => client.stats(targets),
    targets: { targetDelayMs, minWorkers, maxWorkers, scaleDownMs: 3_000 },
    everyMs,
    onLook: ({ workers, ready, running, queueingDelayMs, utilisation }, processes) => {
      const at = begun === undefined ? 0 : performance.now() - begun
      if (begun !== undefined) looks.push({ at, workers, processes, ready, delayMs: queueingDelayMs.now })
      if (performance.now() - shownAt < lineMs && workers === shownWorkers) return
      shownAt = performance.now()
      shownWorkers = workers
      const line =
        `${workers} ${workers === 1 ? "worker" : "workers"}, ${ready} wait, ${running} run, delay ${queueingDelayMs.now} ms (p50 ${queueingDelayMs.p50}, ` +
        `p99 ${queueingDelayMs.p99}), used ${Math.round(100 * utilisation)} %`
      onLine(`${(at / 1_000).toFixed(1).padStart(6)} s  ${line}`)
    },
    onError: (error) => onLine(`no stats: ${String(error)}`),
  })
  const until = async (condition: () => boolean | Promise<boolean>, what: string): Promise<void> => {
    const end = performance.now() + patienceMs
    while (!(await condition())) {
      if (performance.now() > end) throw new Error(`expected within ${patienceMs / 1_000} s that ${what}`)
      await sleep(everyMs)
    }
  }
  try {
    await until(async () => (await client.stats()).workers === minWorkers, "the first workers are there")
    onLine(`         ${pictures} pictures at once`)
    begun = performance.now()
    const ids = Array.from({ length: pictures }, (_, n) => `picture-${n}`)
    const handles = await Promise.all(ids.map(async (id) => await client.thumbnail.start({ id })))
    const results = await Promise.all(handles.map(async (handle) => await handle.result({ timeout: patienceMs })))
    onLine("         all pictures are done")
    const few = (): boolean => looks.at(-1)?.workers === minWorkers && supervisor.processes().length === minWorkers
    await until(few, "the workers that are not needed any more have left")
    await stop()
    const { clean } = await supervisor.stop()
    return { looks, done: results.filter((result, n) => result === `small/${ids[n]}`).length, clean }
  } finally {
    await stop()
    await supervisor.kill()
    await client.close()
  }
}
