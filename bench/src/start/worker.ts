/** Worker process: node worker.ts <contender> <namespace> <url> <steps of a job> <"timed", to take the time of each>. */
import { serve } from "../child.ts"
import { clock } from "../clock.ts"
import { loadContender, type BenchWorker } from "./contender.ts"

const [name = "", namespace = "", url = "", steps = "0", timed = ""] = process.argv.slice(2)
let opening: Promise<BenchWorker> | undefined
let handled = 0
let completed = 0
let latencies: Array<number> | undefined
let awaited: { readonly count: number; readonly resolve: (at: number) => void } | undefined

const onJob = (sentAt: number): void => {
  if (timed === "") latencies?.push(clock() - sentAt)
  handled++
}

const onStep = (ms: number): void => void latencies?.push(ms)

const onCompleted = (): void => {
  completed++
  if (awaited !== undefined && completed >= awaited.count) {
    awaited.resolve(clock())
    awaited = undefined
  }
}

serve({
  open: async () => {
    const work = { onJob, onCompleted, steps: Number(steps), ...(timed === "" ? {} : { onStep }) }
    opening ??= loadContender(name).then((contender) => contender.openWorker(url, namespace, work))
    await opening
  },

  /** Resolves with the time at which `count` jobs in all were completed. */
  completed: (count: number) => (completed >= count ? clock() : new Promise<number>((resolve) => (awaited = { count, resolve }))),

  /** Begins to note latencies, and forgets earlier ones. */
  listen: () => void (latencies = []),
  latencies: () => latencies ?? [],
  /** Handler calls so far: more than jobs means that some ran twice. */
  handled: () => handled,

  close: async () => (await opening)?.close(),
})
