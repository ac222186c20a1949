/**
 * The load with children: a run that lives on (`kin`) has in each iteration an activity, a child (`branch`) and a signal to the next of its kind; the child
 * starts three children of its own (`leaf`), one for each way in which a parent's end can close them, and ends. Every third child is cancelled while it
 * starts them. What all of them gave is counted in the state of the first. Updates are numbered by the clients, as messages are.
 */
import { randomBytes } from "node:crypto"
import { Schema } from "effect"
import { activity, defineJob, retry, signal, type, update } from "../../src/define/index.ts"
import { makeStub, type JobContract } from "../../src/gen.ts"
import type { Family } from "./history.ts"
import { pause } from "./pause.ts"
import type { Recorder } from "./recorder.ts"

export interface KinState {
  /** Numbers of updates, in the order in which they were applied. */
  readonly log: ReadonlyArray<number>
  readonly iterations: number
  readonly families: ReadonlyArray<Family>
  readonly told: number
  readonly heard: ReadonlyArray<readonly [string, number]>
  /** Begins nothing new. */
  readonly resting: boolean
}

const text = Schema.String
const numbers = Schema.Array(Schema.Int)
const ofKey = { input: type<{ id: string }>(), key: "id" as const, result: type<string>() }

const contractOf = (kind: string, schemas: Partial<JobContract["schemas"]>): JobContract => ({
  name: kind,
  kind,
  key: ["id"],
  version: "1",
  failures: {},
  schemas: {
    input: Schema.Struct({ id: text }),
    state: null,
    result: text,
    errors: {},
    signals: {},
    queries: {},
    updates: {},
    activities: {},
    ...schemas,
  },
})

const family = Schema.Struct({
  iteration: Schema.Int,
  work: text,
  branch: text,
  end: text,
  leaves: Schema.Struct({ cancel: text, terminate: text, abandon: Schema.optionalKey(text) }),
})
export const kinContracts = {
  kin: contractOf("kin", {
    input: Schema.Struct({ id: text, next: text }),
    state: Schema.Struct({
      log: numbers,
      iterations: Schema.Int,
      families: Schema.Array(family),
      told: Schema.Int,
      heard: Schema.Array(Schema.Tuple([text, Schema.Int])),
      resting: Schema.Boolean,
    }),
    signals: { told: text, rest: Schema.Boolean },
    updates: { apply: { in: Schema.Int, out: Schema.Int, errors: {} } },
    activities: { work: { in: text, out: text, errors: {} } },
  }),
  branch: contractOf("branch", { input: Schema.Struct({ id: text, doomed: Schema.Boolean }) }),
  leaf: contractOf("leaf", { signals: { go: text } }),
}

const kinDefinition = defineJob({
  ...ofKey,
  kind: "kin",
  input: type<{ id: string; next: string }>(),
  state: type<KinState>(),
  signals: { told: signal<string>(), rest: signal<boolean>() },
  updates: { apply: update<number, number>() },
  activities: {
    work: activity<string, string>({
      timeout: "5 seconds",
      heartbeatTimeout: "1 second",
      retry: retry.fixed({ every: 50, attempts: 1_000 }),
    }),
  },
})
const branchDefinition = defineJob({ ...ofKey, kind: "branch", input: type<{ id: string; doomed: boolean }>() })
const leafDefinition = defineJob({ ...ofKey, kind: "leaf", signals: { go: signal<string>() } })

export const kinKey = (key: string): string => `kin/${key}`
export const branchKey = (id: string): string => `branch/${id}`
export const leafKey = (id: string): string => `leaf/${id}`
/** Of the child that a run has in an iteration. */
export const branchOf = (run: string, iteration: number): string => `${run}.${iteration}`
export const leafOf = (branch: string, policy: string): string => `${branch}.${policy}`

/** A pass takes a few times as long. */
const stepMs = 10
const idleMs = 1_000
/** All are in its state, which has a limit. */
const familiesMax = 4_000
const policies = ["cancel", "terminate", "abandon"] as const
const ends = new Set(["Cancelled", "Terminated", "RunNotFound"])

/** How another run ended: its result, or the tag of its error. What happens to the caller itself goes on. */
const endOf = async (result: Promise<string>): Promise<string> => {
  try {
    return `done:${await result}`
  } catch (error) {
    const { _tag: tag = "" } = error as { _tag?: string }
    if (ends.has(tag)) return tag
    throw error
  }
}
const random = (): string => randomBytes(4).toString("hex")

export const kinJobs = (recorder: Recorder) => [
  makeStub(kinDefinition as never, kinContracts.kin, kinContracts).implement({
    init: (): KinState => ({ log: [], iterations: 0, families: [], told: 0, heard: [], resting: false }),
    updates: {
      apply: (job: any, n: number) => {
        recorder.write({ what: "applied", key: kinKey(job.key), run: job.run, n })
        job.state = { ...job.state, log: [...job.state.log, n] }
        return job.state.log.length
      },
    },
    run: async (job: any) =>
      await recorder.during(kinKey(job.key), job, async ({ saw }) => {
        const heard: Array<readonly [string, number]> = []
        let { resting } = job.state as KinState
        for (let message = job.poll(); message !== undefined; message = job.poll()) {
          if (message.name === "rest") resting = message.payload as boolean
          else {
            const [from, n] = (message.payload as string).split(" ")
            heard.push([from ?? "", Number(n)])
          }
        }
        const counted = async (): Promise<Partial<KinState>> => {
          const told = (job.state as KinState).told + 1
          const work = saw("work", (await job.activities.work("")) as string)
          const id = branchOf(job.run, job.iteration)
          const doomed = job.iteration % 3 === 0
          const branch = await job.jobs.branch.start({ id, doomed })
          const run = saw("branch", branch.run as string)
          if (doomed) await branch.cancel("doomed")
          const end = saw("end", await endOf(branch.result()))
          const leaf = (policy: string) => job.jobs.leaf.get(leafOf(id, policy))
          const cancel = saw("cancel", await endOf(leaf("cancel").result()))
          const terminate = saw("terminate", await endOf(leaf("terminate").result()))
          await job.jobs.kin.get(job.input.next).signal.told(`${job.key} ${told}`)
          const of: Family = { iteration: job.iteration, work, branch: run, end, leaves: { cancel, terminate } }
          if (doomed) return { told, families: [...job.state.families, of] }
          await leaf("abandon").signal.go(run)
          const abandon = saw("abandon", await endOf(leaf("abandon").result()))
          return { told, families: [...job.state.families, { ...of, leaves: { ...of.leaves, abandon } }] }
        }
        // The first pass waits until all are there: what tells a run that has not been started is refused.
        const idle = resting || job.iteration === 1 || job.state.families.length >= familiesMax
        const more = idle ? {} : await counted()
        const state = job.state as KinState
        job.state = { ...state, ...more, resting, heard: [...state.heard, ...heard], iterations: state.iterations + 1 }
        return job.again(idle ? { on: ["apply", "told", "rest"] } : { on: ["apply", "rest"], after: idleMs })
      }),
  }),
  makeStub(branchDefinition as never, kinContracts.branch, kinContracts).implement({
    run: async (job: any) =>
      await recorder.during(branchKey(job.key), job, async ({ said }) => {
        const { doomed } = job.input as { readonly doomed: boolean }
        const started = doomed ? policies.slice(0, 2) : policies
        await Promise.all(started.map((policy) => job.jobs.leaf.start({ id: leafOf(job.key, policy) }, { onParentEnd: policy })))
        if (doomed) {
          // a cancel that came meanwhile is told by the signal, or else by the sleep
          job.abortSignal.throwIfAborted()
          await job.sleep("1 day")
        }
        return job.done(said(random()))
      }),
  }),
  makeStub(leafDefinition as never, kinContracts.leaf, kinContracts).implement({
    run: async (job: any) =>
      await recorder.during(leafKey(job.key), job, async ({ said }) => job.done(said((await job.receive("go")).payload as string))),
  }),
]

export const kinActivities = (recorder: Recorder) =>
  makeStub(kinDefinition as never, kinContracts.kin, kinContracts).activities({
    work: async (call: any) => {
      const beating = setInterval(() => call.heartbeat(), 200)
      try {
        await pause(stepMs, call.abortSignal)
        const value = random()
        recorder.write({ what: "try", key: kinKey(call.key), call: call.id, value })
        return value
      } finally {
        clearInterval(beating)
      }
    },
  })
