/**
 * Worker process of the bench: node worker.ts <pool> <store> <options as JSON>. Its jobs hold a resource, run until they are aborted, work for
 * their user at every tick, and write to the store every few seconds. SIGTERM drains, as it does by default.
 */
import { createWorker, Deposed, StoreUnavailable, type Worker, type WorkerEvent } from "@ponos/sdk"
import type { BaseJob } from "@ponos/sdk/gen"
import { serve } from "../child.ts"
import { clock } from "../clock.ts"
import { tenant } from "../ponos.gen/worker.ts"
import type { Closing, Records, Still, Write } from "./records.ts"

const [pool = "", store = "", options = "{}"] = process.argv.slice(2)
/** Two of three workers hold all jobs for a while: more than the default concurrency, which is meant for jobs that end or park. */
const concurrency = 4_000
const tickMs = 50
const lateMs = 4 * tickMs
/** Ticks between two writes of a job: five seconds. */
const writeTicks = 100
const keptFences = 10
const fenceDigits = 19

type Seen = Pick<BaseJob, "key" | "abortSignal">

interface Live {
  readonly key: string
  readonly from: number
  to: number | null
  begun: number
  worked: number
  /** Taken out of the job once, as most code does. */
  readonly abortSignal: AbortSignal
  /** Lets the handler go on: it writes, or has been aborted. */
  readonly go: () => void
  readonly turn: number
}

const live = new Set<Live>()
let ended: Array<Live> = []
let writes: Array<Write> = []
let closings: Array<Closing> = []
let troubles: Array<string> = []
let refused = 0
let stalls: Array<Still> = []
let ticks = 0
let notedAt = clock()

/** Before anything else is noted: every tick does, so that a process without a note for long has had no time. */
const note = (): number => {
  const now = clock()
  if (now - notedAt > lateMs) stalls.push({ from: notedAt, to: now })
  return (notedAt = now)
}

/** User code: it stops when it is told to, and only then. All of a tick is one piece. */
setInterval(() => {
  ticks++
  const begun = note()
  for (const one of live) {
    if (one.abortSignal.aborted) continue
    one.begun = begun
    one.worked = clock()
    if (one.turn === ticks % writeTicks) one.go()
  }
  // no stall: a process that stands still in the middle of this works when it goes on
  notedAt = clock()
}, tickMs)

const begin = (job: Seen): { readonly one: Live; readonly woken: Promise<void> } => {
  const { promise: woken, resolve } = Promise.withResolvers<void>()
  const go = (): void => resolve()
  const from = note()
  const { key, abortSignal } = job
  const one: Live = { key, from, to: null, begun: from, worked: from, abortSignal, go, turn: Number(key.split("-").at(-1)) % writeTicks }
  live.add(one)
  if (abortSignal.aborted) go()
  else abortSignal.addEventListener("abort", go, { once: true })
  return { one, woken }
}

const end = (one: Live): void => {
  one.to = note()
  live.delete(one)
  ended.push(one)
}

const handlers = tenant.implement({
  init: () => ({ writes: 0, fences: [] }),
  open: (job) => ({ key: job.key }),
  close: ({ key }) => void closings.push({ key, at: clock() }),
  run: async (job) => {
    const { one, woken } = begin(job)
    try {
      await woken
      if (job.abortSignal.aborted) return job.again()
      const fence = String(job.fence).padStart(fenceDigits, "0")
      const sent = clock()
      const written = await job.step("write", () => fence)
      // nobody told it to stop: it goes on, and that is work
      one.begun = one.worked = note()
      writes.push({ key: job.key, fence, iteration: job.iteration, sent, acknowledged: one.worked })
      job.state = { writes: job.state.writes + 1, fences: [...job.state.fences, written].slice(-keptFences) }
      return job.again()
    } catch (error) {
      if (Deposed.is(error) || StoreUnavailable.is(error)) refused++
      throw error
    } finally {
      end(one)
    }
  },
})

const onEvent = (event: WorkerEvent): void => {
  if (event.type === "fault" || event.type === "failed" || event.type === "blocked")
    troubles.push(`${event.type}: ${event.error instanceof Error ? event.error.message : String(event.error)}`)
  if (event.type === "deposed") troubles.push(`deposed of ${event.shards.length} shards: ${event.why}`)
  if (event.type === "markedDead") troubles.push(`marked ${event.session} dead by ${event.by}`)
  if (event.type === "warning") troubles.push(`warning: ${event.text}`)
  if (event.type === "overrun" || event.type === "stuck" || event.type === "storeLost") troubles.push(event.type)
}

const interval = ({ key, from, to, begun, worked }: Live): Records["intervals"][number] => ({ key, from, to, begun, worked })
let opening: Promise<Worker> | undefined

let frozen: number | undefined
process.on("disconnect", () => {
  if (frozen !== undefined) process.kill(frozen, "SIGCONT")
})

serve({
  open: async () => {
    opening ??= createWorker({ pool, store, concurrency, jobs: [handlers], onEvent, ...(JSON.parse(options) as object) })
    await opening
  },
  status: async () => ({ shards: (await opening)?.owned().length ?? 0, running: live.size }),
  /** What was noted since the last call, and what runs. */
  records: (): Records => {
    const told = { intervals: [...ended, ...live].map(interval), writes, closings, stalls, refused, troubles }
    ended = []
    writes = []
    closings = []
    stalls = []
    troubles = []
    refused = 0
    return told
  },
  /** A frozen process does not see that the bench is gone: another one thaws it then, so that it ends. */
  guard: (pid: number | null) => void (frozen = pid ?? undefined),
  /** Resolves when the drain that SIGTERM began is over. */
  stopped: async () => await (await opening)?.stopped,
  close: async () => await (await opening)?.close(),
})
