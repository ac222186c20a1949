/** The job of these tests, its contract written by hand in the form that ponos-gen prints. */
import { Schema } from "effect"
import { defineJob, type } from "@ponos/sdk/define"
import { type JobContract, makeClient, makeStub } from "@ponos/sdk/gen"
import type { Engine, JobClientInternals } from "@ponos/sdk/internal"
import { internals } from "@ponos/sdk/internal"

export interface FeedInput {
  tenantId: string
  pollSeconds: number
  note?: string
}

export const feedDefinition = defineJob({ kind: "tenant-feed", input: type<FeedInput>(), key: "tenantId", state: type<{ seen: number }>() })

export const feedContract: JobContract = {
  name: "tenantFeed",
  kind: "tenant-feed",
  key: ["tenantId"],
  version: "1",
  schemas: {
    input: Schema.Struct({
      tenantId: Schema.String,
      pollSeconds: Schema.Int.pipe(Schema.check(Schema.isGreaterThanOrEqualTo(1))),
      note: Schema.optionalKey(Schema.String),
    }),
    state: Schema.Struct({ seen: Schema.Finite }),
    result: null,
    errors: {},
    signals: {},
    queries: {},
    updates: {},
    activities: {},
  },
  failures: {},
}

export const feedStub = makeStub(feedDefinition, feedContract)

/** The typed face of the client of this job. */
export interface FeedClient extends AsyncDisposable {
  readonly tenantFeed: {
    start(
      input: FeedInput,
      options?: object,
    ): Promise<{ readonly key: string; describe(): Promise<{ readonly run: string; readonly phase: string }> }>
    get(key: string): {
      describe(): Promise<{ readonly run: string; readonly phase: string }>
      cancel(): Promise<void>
      terminate(): Promise<void>
    }
    list(): AsyncIterable<{ readonly key: string; readonly run: string; readonly phase: string }>
    readonly [internals]: JobClientInternals
  }
  close(): Promise<void>
}

export const feedClient = (options: {
  readonly pool: string
  readonly store?: string
  readonly engine?: Engine
  readonly shards?: number
}): FeedClient => makeClient(options as never, { tenantFeed: feedContract }) as FeedClient

export const tenants = (count: number, pollSeconds = 5, from = 0): Array<FeedInput> =>
  Array.from({ length: count }, (_, n) => ({ tenantId: `t${String(from + n).padStart(4, "0")}`, pollSeconds }))

/** Live runs of a client: key → run. */
export const liveRuns = async (client: FeedClient): Promise<Map<string, string>> => {
  const runs = new Map<string, string>()
  for await (const { key, run, phase } of client.tenantFeed.list()) if (phase !== "ended") runs.set(key, run)
  return runs
}
