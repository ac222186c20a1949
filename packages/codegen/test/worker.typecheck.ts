/** What the generated worker stubs take and refuse. Type-checked only. */
import { shared } from "@ponos/sdk"
import type { ActivityHandlers, Again, JobHandlers } from "@ponos/sdk/gen"
import { Context, Effect } from "effect"
import type { OneFeedHandlers, OneFeedJob, TickJob } from "./fixtures/composite/ponos.gen/worker.ts"
import { oneFeed, tick } from "./fixtures/composite/ponos.gen/worker.ts"
import { Busy, Empty, NotFound } from "./fixtures/composite/ponos.gen/errors.ts"
import { feedActivities, feedJob } from "./fixtures/feed/feed.worker.ts"
import { FeedGone, Rejected } from "./fixtures/feed/ponos.gen/errors.ts"
import type { TenantFeedJob } from "./fixtures/feed/ponos.gen/worker.ts"
import { tenantFeed } from "./fixtures/feed/ponos.gen/worker.ts"

type Same<A, B> = (<G>() => G extends A ? 1 : 2) extends <G>() => G extends B ? 1 : 2 ? true : { readonly differ: [A, B] }
const same = <T extends true>(): T => true as T

const state = { cursor: 0, delivered: 0, pollSeconds: 1, paused: false }
const init = (): typeof state => state
const updates = { reconfigure: () => ({ previous: 1 }) }
const queries = { progress: () => ({ delivered: 1, lagSeconds: 1 }) }
const run = (job: TenantFeedJob): Again => job.again()

// The blueprint's worker needs no services.
const written: JobHandlers<never> = feedJob(null as never)
const registered: ActivityHandlers<never> = feedActivities(null as never)
void [written, registered]

// The smallest implementation.
tenantFeed.implement({ init, run, updates, queries })
tenantFeed.implement({ init, run: async (job) => job.done(), updates, queries })
tick.implement({ run: (job) => (job.wake.by === "start" ? job.again({ cron: "0 * * * *", zone: "UTC" }) : job.done()) })

// @ts-expect-error extra key
tenantFeed.implement({ init, run, updates, queries, opne: () => 1 })
// @ts-expect-error extra update
tenantFeed.implement({ init, run, updates: { reconfigure: () => ({ previous: 1 }), more: () => 1 }, queries })
// @ts-expect-error extra query
tenantFeed.implement({ init, run, updates, queries: { progress: () => ({ delivered: 1, lagSeconds: 1 }), more: () => 1 } })
// @ts-expect-error `init` is required with a state
tenantFeed.implement({ run, updates, queries })
// @ts-expect-error `init` is refused without a state
tick.implement({ init: () => ({}), run: (job) => job.done() })
// @ts-expect-error declared updates are required
tenantFeed.implement({ init, run, queries })
// @ts-expect-error declared queries are required
tenantFeed.implement({ init, run, updates })
// @ts-expect-error updates are refused where none are declared
tick.implement({ run: (job) => job.done(), updates: {} })
// @ts-expect-error queries are refused where none are declared
oneFeed.implement({ run: (job) => job.done({ delivered: 1 }), updates: { rename: () => {}, clear: () => {} }, queries: {} })
// @ts-expect-error a wrong state
tenantFeed.implement({ init: () => ({ cursor: "0" }), run, updates, queries })

// `run` ends by again or done, never by falling off its end.
// @ts-expect-error nothing returned
tenantFeed.implement({ init, run: async () => {}, updates, queries })
// @ts-expect-error a plain value returned
tenantFeed.implement({ init, run: async () => ({}), updates, queries })
const forgotten = async (job: TenantFeedJob): Promise<void> => {
  job.again()
}
// @ts-expect-error a forgotten `return`
tenantFeed.implement({ init, run: forgotten, updates, queries })

// Updates and queries are synchronous; a void result is nothing, and no promise either.
// @ts-expect-error an async update
tenantFeed.implement({ init, run, updates: { reconfigure: async () => ({ previous: 1 }) }, queries })
// @ts-expect-error an async query
tenantFeed.implement({ init, run, updates, queries: { progress: async () => ({ delivered: 1, lagSeconds: 1 }) } })
oneFeed.implement({ run: (job) => job.done({ delivered: 1 }), updates: { rename: () => {}, clear: () => undefined } })
// @ts-expect-error an async update without a result
oneFeed.implement({ run: (job) => job.done({ delivered: 1 }), updates: { rename: async () => {}, clear: () => {} } })

// `done` takes the result exactly when one is declared.
const ends = (one: OneFeedJob, feed: TenantFeedJob, ticking: TickJob): void => {
  one.done({ delivered: 1 })
  // @ts-expect-error the result is missing
  one.done()
  // @ts-expect-error a wrong result
  one.done({ delivered: "1" })
  feed.done()
  // @ts-expect-error no result is declared
  feed.done(1)
  ticking.done()
}

// What `close` gets is what `open` gives; neither needs services.
const table = shared({
  open: async (tenant): Promise<{ readonly of: string }> => ({ of: tenant }),
  close: (opened) => void same<Same<typeof opened, { readonly of: string }>>(),
  idle: "1 minute",
})
// @ts-expect-error an Effect that needs a service
shared({ open: () => Effect.map(Disk, (disk) => disk.free) })
// @ts-expect-error no unit
shared({ open: () => 1, idle: "5" })

const context = async (job: TenantFeedJob, one: OneFeedJob, ticking: TickJob): Promise<void> => {
  const next = job.poll()
  if (next?.name === "pause") same<Same<typeof next.payload, { reason: string }>>()
  if (next?.name === "resume") same<Same<typeof next.payload, void>>()
  const pause = job.poll("pause")
  same<Same<NonNullable<typeof pause>["name"], "pause">>()
  const waited = await job.receive("resume")
  same<Same<typeof waited.name, "resume">>()
  const late = await job.receive("resume", { timeout: "1 minute" })
  // @ts-expect-error it may not have come
  void late.name
  const filtered = await job.receive("pause", { filter: (payload) => payload.reason !== "" })
  same<Same<typeof filtered.payload, { reason: string }>>()
  const either = await job.receive("pause", { filter: ({ reason }) => reason !== "", timeout: 5 })
  // @ts-expect-error it may not have come
  void either.name
  const first = await job.receive(["pause", "resume"])
  void (first.name === "pause" ? first.payload.reason : (first.name satisfies "resume"))
  const timely = await job.receive(["resume", "pause"], { timeout: 5 })
  same<Same<typeof timely, typeof first | undefined>>()
  // @ts-expect-error an update is not received
  await job.receive(["pause", "reconfigure"])
  // @ts-expect-error an update is not polled
  job.poll("reconfigure")
  // @ts-expect-error not a signal
  job.poll("nothing")
  // @ts-expect-error a query wakes nothing
  job.again({ on: ["progress"] })
  // @ts-expect-error no unit
  job.again({ after: "5" })
  // @ts-expect-error no signals are declared
  one.poll()
  // @ts-expect-error no activities are declared
  void ticking.activities
  // @ts-expect-error no state is declared
  void one.state
  // @ts-expect-error the input is not the state's
  void job.input.cursor
  const receipt = await job.activities.deliver({ events: [] })
  same<Same<typeof receipt, { accepted: number }>>()
  // @ts-expect-error a wrong input
  void job.activities.deliver({ events: [{ number: "1" }] })
  // @ts-expect-error no such activity
  void job.activities.delver({ events: [] })
  await one.activities.flush()
  await one.activities.flush(undefined, { delay: "1 minute" })
  await job.activities.deliver({ events: [] }, { delay: "1 minute", priority: 3 })
  // @ts-expect-error the deadlines are the definition's
  void job.activities.deliver({ events: [] }, { timeout: 1 })
  const rows = await job.use(table)
  same<Same<typeof rows, { readonly of: string }>>()
  // @ts-expect-error not what `shared` gave
  void job.use({ open: () => 1 })
  if (job.wake.by === "time") same<Same<typeof job.wake.scheduled, Date>>()
  // @ts-expect-error only a time was scheduled
  void job.wake.scheduled
  if (job.wake.by === "message") same<Same<typeof job.wake.name, "pause" | "resume" | "reconfigure">>()
}

// Activities: all of them, no others; their declared errors may be failures of an Effect.
tenantFeed.activities({ deliver: async () => ({ accepted: 1 }) })
tenantFeed.activities({ deliver: () => Effect.fail(new Rejected({ reason: "no" })) })
// @ts-expect-error extra activity
tenantFeed.activities({ deliver: async () => ({ accepted: 1 }), more: () => 1 })
// @ts-expect-error missing activity
tenantFeed.activities({})
// @ts-expect-error a wrong result
tenantFeed.activities({ deliver: async () => ({ accepted: "1" }) })
// @ts-expect-error an error that is not declared
tenantFeed.activities({ deliver: () => Effect.fail(new FeedGone({ status: 1 })) })

// Services that handlers need add up.
class Clock extends Context.Service<Clock, { readonly now: number }>()("test/Clock") {}
class Disk extends Context.Service<Disk, { readonly free: number }>()("test/Disk") {}
const needy = tenantFeed.implement({
  init,
  open: () => Effect.map(Clock, (clock) => clock.now),
  run: (job, now) => Effect.map(Disk, (disk) => (disk.free > now ? job.again() : job.done())),
  updates,
  queries,
})
same<Same<typeof needy, JobHandlers<Clock | Disk>>>()
const needyActivities = tenantFeed.activities({ deliver: () => Effect.map(Disk, (disk) => ({ accepted: disk.free })) })
same<Same<typeof needyActivities, ActivityHandlers<Disk>>>()
tenantFeed.implement({ init, run: () => Effect.fail(new FeedGone({ status: 1 })), updates, queries })
// @ts-expect-error an error that is not declared
tenantFeed.implement({ init, run: () => Effect.fail(new Rejected({ reason: "" })), updates, queries })
// Which state it is, the view tells.
tenantFeed.implement({ init, run, updates, queries: { progress: (view) => ({ delivered: view.live ? 1 : 2, lagSeconds: 1 }) } })
// @ts-expect-error queries see the state, and cannot write it
tenantFeed.implement({ init, run, updates, queries: { progress: (view) => ({ delivered: (view.state.delivered = 1), lagSeconds: 1 }) } })

// Errors: their fields, and what `is` tells.
const errors = (thrown: unknown): void => {
  if (FeedGone.is(thrown)) same<Same<typeof thrown.status, number>>()
  same<Same<Busy["until"], Date | undefined>>()
  new Busy({ message: "later" })
  new Busy({ message: "later", until: new Date(0) })
  new Empty()
  // @ts-expect-error a field is missing
  new NotFound({})
  // @ts-expect-error an unknown field
  new NotFound({ path: "/", more: 1 })
  // @ts-expect-error undefined is not the absence of a field
  new Busy({ message: "later", until: undefined })
}

export { context, ends, errors }
export type { OneFeedHandlers }

// Other jobs of the file: typed starts, handles and results.
export const others = async (job: TickJob): Promise<void> => {
  const child = await job.jobs.oneFeed.start(null as never, { onParentEnd: "abandon", after: "1 second", ifRunning: "reject" })
  const result = await child.result()
  same<Same<typeof result, { delivered: number }>>()
  const other = await job.jobs.oneFeed.get({ tenantId: "acme", feedId: "1" }).result()
  same<Same<typeof other, { delivered: number }>>()
  await child.cancel("enough")
  // @ts-expect-error no such policy
  void job.jobs.oneFeed.start(null as never, { onParentEnd: "kill" })
  // @ts-expect-error a part of the key is missing
  void job.jobs.oneFeed.get({ tenantId: "acme" })
  // @ts-expect-error no such job
  void job.jobs.another
  // @ts-expect-error a result is no value before it is awaited
  same<Same<ReturnType<typeof child.result>, { delivered: number }>>()
}
export const siblings = async (job: TenantFeedJob): Promise<void> => {
  await job.jobs.tenantFeed.get("acme").signal.pause({ reason: "billing" })
  const pause = { name: "pause", payload: { reason: "billing" } } as const
  await job.jobs.tenantFeed.start(null as never, { ifRunning: "replace", labels: { region: "eu" }, signal: pause })
  await job.jobs.tenantFeed.start(null as never, { signal: { name: "resume" } })
  // @ts-expect-error no such signal
  void job.jobs.tenantFeed.start(null as never, { signal: { name: "stop" } })
  // @ts-expect-error payload of another type
  void job.jobs.tenantFeed.start(null as never, { signal: { name: "pause", payload: {} } })
  await job.jobs.tenantFeed.get("acme").signal.resume()
  // @ts-expect-error the payload is missing
  await job.jobs.tenantFeed.get("acme").signal.pause()
  // @ts-expect-error no such signal
  await job.jobs.tenantFeed.get("acme").signal.stop()
}
