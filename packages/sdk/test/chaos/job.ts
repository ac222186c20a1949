/** The load: a job of the runtime and one of the low-level pool that write down what they do. Both settle when they are aborted. */
import { randomBytes } from "node:crypto"
import { Schema } from "effect"
import { defineJob, signal, type } from "../../src/define/index.ts"
import { makeStub, type JobContract } from "../../src/gen.ts"
import type { Job } from "../../src/pool/index.ts"
import { pause } from "./pause.ts"
import type { Recorder } from "./recorder.ts"

export interface State {
  readonly log: ReadonlyArray<number>
  readonly iterations: ReadonlyArray<readonly [number, string]>
}

const definition = defineJob({
  kind: "chaos",
  input: type<{ id: string }>(),
  key: "id",
  state: type<State>(),
  result: type<string>(),
  signals: { add: signal<number>() },
})

export const contract: JobContract = {
  name: "chaos",
  kind: "chaos",
  key: ["id"],
  version: "1",
  failures: {},
  schemas: {
    input: Schema.Struct({ id: Schema.String }),
    state: Schema.Struct({ log: Schema.Array(Schema.Int), iterations: Schema.Array(Schema.Tuple([Schema.Int, Schema.String])) }),
    result: Schema.String,
    errors: {},
    signals: { add: Schema.Int },
    queries: {},
    updates: {},
    activities: {},
  },
}

/** Keys of both kinds in one history. */
export const runKey = (key: string): string => `run/${key}`
export const lowKey = (key: string): string => `low/${key}`

/** A pass takes a few times as long: long enough to be met by any fault. */
const stepMs = 15
const idleMs = 1_000

export const chaosJob = (recorder: Recorder) =>
  makeStub(definition as never, contract).implement({
    init: (): State => ({ log: [], iterations: [] }),
    run: async (job: any) => {
      return await recorder.during(runKey(job.key), job, async (notes) => {
        const value = (await job.step("first", async (abort: AbortSignal) => {
          const made = randomBytes(4).toString("hex")
          notes.step("first", made, "")
          await pause(stepMs, abort)
          return made
        })) as string
        await job.step("second", async (abort: AbortSignal) => {
          notes.step("second", "", value)
          await pause(stepMs, abort)
        })
        const { log, iterations } = job.state as State
        const seen: number[] = []
        for (let message = job.poll("add"); message !== undefined; message = job.poll("add")) {
          notes.message(message.payload as number)
          seen.push(message.payload as number)
        }
        job.state = { log: [...log, ...seen], iterations: [...iterations, [job.iteration, value]] }
        return job.again({ on: ["add"], after: idleMs })
      })
    },
  })

/** Runs until it is aborted; its payload is the id of its run. */
export const runLow = async (recorder: Recorder, job: Job): Promise<void> => {
  const key = lowKey(job.key)
  const handler = recorder.begin(key, new TextDecoder().decode(job.payload), job.fence, 0)
  const aborted = Promise.withResolvers<void>()
  job.abortSignal.addEventListener("abort", () => {
    recorder.write({ what: "abort", handler, key })
    aborted.resolve()
  })
  const read = async (): Promise<void> => {
    for await (const bytes of job.notifications())
      recorder.write({ what: "message", handler, key, n: Number(new TextDecoder().decode(bytes)) })
  }
  await Promise.race([aborted.promise, read()])
  if (!job.abortSignal.aborted) await aborted.promise
  recorder.write({ what: "end", handler, key })
  job.settle()
}
