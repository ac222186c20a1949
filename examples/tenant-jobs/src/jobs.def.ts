// The only hand-written contract: `npm run generate` makes ponos.gen/ from it.
import { activity, defineJob, query, retry, signal, type, update } from "@ponos/sdk/define"

export interface FeedInput {
  /**
   * Tenant that owns the feed.
   * @minLength 1
   */
  tenantId: string
  /**
   * Where the tenant's events stream from.
   * @format uri
   */
  url: string
  /**
   * Largest number of events in one delivery.
   * @minimum 1
   * @maximum 500
   */
  batchSize: number
  /**
   * How long a delivery waits to be full.
   * @minimum 0.05
   * @maximum 60
   */
  pollSeconds: number
  /** Travels with each delivery, so that the receiver sees which settings were in force. */
  label: string
}

export interface FeedState {
  /** Number of the last event delivered. */
  cursor: number
  delivered: number
  /** Set by `reconfigure`: overrides the input's. */
  pollSeconds?: number
  paused: boolean
}

export interface FeedEvent {
  number: number
  body: string
}

/** A declared error is plain data with a `_tag`. */
export interface FeedGone {
  _tag: "FeedGone"
  status: number
}

/** The receiver will never take this delivery. */
export interface Rejected {
  _tag: "Rejected"
  reason: string
}

/** Follows one tenant's event feed and delivers every event exactly once. */
export const tenantFeed = defineJob({
  kind: "tenant-feed",
  input: type<FeedInput>(),
  key: "tenantId",
  state: type<FeedState>(),
  error: type<FeedGone | Rejected>(),
  signals: { pause: signal<{ reason: string }>(), resume: signal() },
  queries: { progress: query<{ cursor: number; delivered: number; idleSeconds: number }>() },
  updates: { reconfigure: update<{ pollSeconds: number }, { previous: number }>() },
  activities: {
    deliver: activity<{ label: string; events: FeedEvent[] }, { accepted: number }, Rejected>({
      retry: retry.exponential({ first: "100 millis", max: "5 seconds", jitter: true }),
      timeout: "10 seconds",
    }),
  },
  retry: retry.exponential({ first: "200 millis", max: "10 seconds" }),
})
