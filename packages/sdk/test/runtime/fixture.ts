/** A job made by hand as ponos-gen would print it, and a pool in this process to run it on. */
import { Schema } from "effect"
import type { Engine } from "../../src/engine/engine.ts"
import { activity, defineJob, query, retry, signal, type, update } from "../../src/define/index.ts"
import type { RetryPolicy, Timeouts } from "../../src/define/index.ts"
import { Failure, makeClient, makeStub } from "../../src/gen.ts"
import type { JobContract } from "../../src/gen.ts"
import type { createWorker, WorkerEvent } from "../../src/index.ts"
import { Workers } from "./workers.ts"

export interface Gone {
  _tag: "Gone"
  status: number
}
export interface Rejected {
  _tag: "Rejected"
  reason: string
}
export class GoneError extends Failure<"Gone", Gone> {
  declare readonly status: number
  constructor(fields: Omit<Gone, "_tag">) {
    super("Gone", fields)
  }
}
export class RejectedError extends Failure<"Rejected", Rejected> {
  declare readonly reason: string
  constructor(fields: Omit<Rejected, "_tag">) {
    super("Rejected", fields)
  }
}

const gone = Schema.TaggedStruct("Gone", { status: Schema.Int })
const rejected = Schema.TaggedStruct("Rejected", { reason: Schema.String })
const text = Schema.String

export const definition = (policy: RetryPolicy = retry.fixed({ every: 10, attempts: 4 }), timeout: Timeouts = {}) =>
  defineJob({
    kind: "sample",
    input: type<{ id: string; limit?: number }>(),
    key: "id",
    state: type<{ count: number; log: string[] }>(),
    result: type<string>(),
    error: type<Gone>(),
    signals: { note: signal<string>(), stop: signal() },
    queries: { count: query<number>(), present: query<string>({ live: true }) },
    updates: { add: update<number, number, Rejected>() },
    activities: {
      shout: activity<string, string, Rejected>({ retry: retry.fixed({ every: 10, attempts: 3 }) }),
      work: activity<string, string, Rejected>({
        retry: retry.fixed({ every: 10, attempts: 4, except: ["Fatal"] }),
        queue: "slow",
        priority: 1,
        delay: 5,
        rateLimit: { max: 1_000, per: "1 second" },
        concurrency: 4,
        heartbeatTimeout: "2 seconds",
        totalTimeout: "1 minute",
      }),
      late: activity<string, string>({ timeout: 20, retry: retry.fixed({ every: 10, attempts: 2 }) }),
      absent: activity<string, string>({ startTimeout: 20, retry: retry.none }),
      silent: activity<string, string>({ heartbeatTimeout: 20, retry: retry.none }),
    },
    retry: policy,
    timeout,
  })

export const contract: JobContract = {
  name: "sample",
  kind: "sample",
  key: ["id"],
  version: "1",
  failures: { Gone: GoneError, Rejected: RejectedError },
  schemas: {
    input: Schema.Struct({ id: Schema.String, limit: Schema.optionalKey(Schema.Int) }),
    state: Schema.Struct({ count: Schema.Int, log: Schema.Array(Schema.String) }),
    result: text,
    errors: { Gone: gone },
    signals: { note: text, stop: null },
    queries: { count: { in: null, out: Schema.Int, errors: {} }, present: { in: null, out: text, errors: {} } },
    updates: { add: { in: Schema.Int, out: Schema.Int, errors: { Rejected: rejected } } },
    activities: {
      shout: { in: text, out: text, errors: { Rejected: rejected } },
      work: { in: text, out: text, errors: { Rejected: rejected } },
      late: { in: text, out: text, errors: {} },
      absent: { in: text, out: text, errors: {} },
      silent: { in: text, out: text, errors: {} },
    },
  },
}

/** Another job of the same definition file. */
export const helperDefinition = defineJob({
  kind: "helper",
  input: type<{ id: string }>(),
  key: "id",
  result: type<string>(),
  error: type<Gone>(),
  signals: { go: signal<string>() },
  retry: retry.fixed({ every: 10, attempts: 4 }),
})
export const helperContract: JobContract = {
  name: "helper",
  kind: "helper",
  key: ["id"],
  version: "1",
  failures: { Gone: GoneError },
  schemas: {
    input: Schema.Struct({ id: Schema.String }),
    state: null,
    result: text,
    errors: { Gone: gone },
    signals: { go: text },
    queries: {},
    updates: {},
    activities: {},
  },
}

const contracts = { sample: contract, helper: helperContract }
export const stub = makeStub(definition() as never, contract, contracts)
export const stubWith = (policy?: RetryPolicy, timeout?: Timeouts, stateVersion = 1) =>
  makeStub(definition(policy, timeout) as never, stateVersion === 1 ? contract : { ...contract, stateVersion }, contracts)
export const helperStub = makeStub(helperDefinition as never, helperContract, contracts)

export interface Started {
  readonly store: string
  readonly pool: string
  readonly shards: number
  readonly client: any
  readonly events: Array<WorkerEvent>
  worker(run: object, options?: object): Promise<Awaited<ReturnType<typeof createWorker>>>
  close(): Promise<void>
}

/** One client and as many workers as the test starts, on one store. Short leases: tests wait for conditions, not for defaults. */
export const startPool = (store: string, pool: string, shards = 8): Started => {
  const client = makeClient({ pool, store, shards }, contracts)
  const events: Array<WorkerEvent> = []
  const workers = new Workers(store, pool, client)
  return {
    store,
    pool,
    shards,
    client,
    events,
    async worker(handlers, options = {}) {
      const { activities, policy, timeout, stateVersion, helper, ...rest } = options as {
        activities?: object
        policy?: RetryPolicy
        timeout?: Timeouts
        stateVersion?: number
        helper?: object
      }
      return await workers.add({
        shards,
        jobs: [
          stubWith(policy, timeout, stateVersion).implement({ init: () => ({ count: 0, log: [] }), ...handlers }),
          ...(helper === undefined ? [] : [helperStub.implement(helper)]),
        ],
        activities: activities === undefined ? [] : [stub.activities(activities)],
        onEvent: (event: WorkerEvent) => events.push(event),
        ...rest,
      })
    },
    close: () => workers.close(),
  }
}

/** Resolves when `probe` gives something truthy; fails after 10 s, or as long as given. */
export const until = async <A>(probe: () => A | Promise<A>, what: string, withinMs = 10_000): Promise<NonNullable<A>> => {
  const end = performance.now() + withinMs
  for (;;) {
    const found = await probe()
    if (found) return found
    if (performance.now() > end) throw new Error(`waited ${withinMs} ms for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** An engine with some verbs replaced; the others are its own. */
export const wrapEngine = (engine: Engine, verbs: Partial<Engine>): Engine =>
  new Proxy(engine, {
    get: (target, name) => {
      const verb = (verbs as Record<string | symbol, unknown>)[name]
      if (verb !== undefined) return verb
      const own: unknown = Reflect.get(target, name, target)
      return typeof own === "function" ? (own.bind(target) as unknown) : own
    },
  })
