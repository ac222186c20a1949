/** A job whose activities have the options that a test gives them, and a pool in this process to run it on. */
import { Schema } from "effect"
import { activity, defineJob, retry, signal, type } from "../../src/define/index.ts"
import type { ActivityOptions, RetryPolicy } from "../../src/define/index.ts"
import { makeClient, makeStub } from "../../src/gen.ts"
import type { JobContract } from "../../src/gen.ts"
import { RejectedError } from "./fixture.ts"
import { Workers } from "./workers.ts"

const text = Schema.String
const rejected = Schema.TaggedStruct("Rejected", { reason: Schema.String })

export const workStub = (options: Readonly<Record<string, ActivityOptions>>, policy: RetryPolicy = retry.none) => {
  const names = Object.keys(options)
  const definition = defineJob({
    kind: "work",
    input: type<{ id: string }>(),
    key: "id",
    result: type<string>(),
    signals: { stop: signal() },
    activities: Object.fromEntries(names.map((name) => [name, activity(options[name])])),
    retry: policy,
  })
  const contract: JobContract = {
    name: "work",
    kind: "work",
    key: ["id"],
    version: "1",
    failures: { Rejected: RejectedError },
    schemas: {
      input: Schema.Struct({ id: text }),
      state: null,
      result: text,
      errors: {},
      signals: { stop: null },
      queries: {},
      updates: {},
      activities: Object.fromEntries(names.map((name) => [name, { in: text, out: text, errors: { Rejected: rejected } }])),
    },
  }
  return { contract, stub: makeStub(definition as never, contract) }
}

export interface WorkPool {
  readonly pool: string
  readonly store: string
  readonly shards: number
  readonly work: any
  /** A worker with this `run`, these activities, or both. */
  readonly worker: (
    handlers: { readonly run?: (job: any) => unknown; readonly activities?: object; readonly retry?: RetryPolicy },
    options?: object,
  ) => Promise<{ close(): Promise<void> }>
  close(): Promise<void>
}

export const workPool = (store: string, pool: string, options: Readonly<Record<string, ActivityOptions>>): WorkPool => {
  const shards = 4
  const { contract } = workStub(options)
  const stubOf = (policy?: RetryPolicy) => workStub(options, policy).stub
  const client = makeClient({ pool, store, shards }, { work: contract })
  const workers = new Workers(store, pool, client)
  return {
    pool,
    store,
    shards,
    work: client.work,
    async worker({ run, activities, retry: policy }, more = {}) {
      const stub = stubOf(policy)
      return await workers.add({
        ...(run === undefined ? {} : { shards }),
        drainMs: 2_000,
        jobs: run === undefined ? [] : [stub.implement({ run })],
        activities: activities === undefined ? [] : [stub.activities(activities)],
        onEvent: () => undefined,
        ...more,
      })
    },
    close: () => workers.close(),
  }
}
