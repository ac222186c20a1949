/** The way to the receiver: one POST per delivery, with the fence by which it refuses a worker that lost the tenant. */
import type { FeedEvent } from "./jobs.def.ts"

export interface Post {
  readonly tenant: string
  readonly label: string
  readonly events: ReadonlyArray<FeedEvent>
  readonly fence: bigint
  /** Idempotency key: the same for all tries of one delivery. */
  readonly id: string
  readonly abortSignal: AbortSignal
}

export interface Sink {
  /** Answers `rejected` with the reason for what no repetition can mend; throws for all else. */
  post(post: Post): Promise<{ readonly accepted: number } | { readonly rejected: string }>
}

export const httpSink = (url: string): Sink => ({
  post: async ({ tenant, label, events, fence, id, abortSignal }) => {
    const response = await fetch(`${url}/deliveries/${encodeURIComponent(tenant)}`, {
      method: "POST",
      headers: { "content-type": "application/json", fence: fence.toString(), "idempotency-key": id },
      body: JSON.stringify({ label, events }),
      signal: abortSignal,
    })
    const answer = (await response.json()) as { readonly delivered: number; readonly reason: string }
    if (response.status === 422) return { rejected: answer.reason }
    if (response.status !== 200) throw new Error(`the receiver answered ${response.status}: ${answer.reason}`)
    return { accepted: answer.delivered }
  },
})
