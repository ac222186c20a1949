/** The job's handlers and its activity: plain TypeScript on the generated stub. What they need is an argument. */
import type { Connect } from "./feed.ts"
import { FeedGone, Rejected } from "./ponos.gen/errors.ts"
import { tenantFeed } from "./ponos.gen/worker.ts"
import type { Sink } from "./sink.ts"

export const feedJob = (connect: Connect) =>
  tenantFeed.implement({
    init: () => ({ cursor: 0, delivered: 0, paused: false }),
    open: (job) => connect(job.input.url, job.state.cursor, job.abortSignal),
    close: (feed) => feed.end(),
    run: async (job, feed) => {
      for (let next = job.poll(); next; next = job.poll()) job.state.paused = next.name === "pause"
      if (job.state.paused) return job.again({ on: ["resume"] })
      const page = await job.step("read", (abortSignal) =>
        feed.read({
          after: job.state.cursor,
          limit: job.input.batchSize,
          waitMs: 1_000 * (job.state.pollSeconds ?? job.input.pollSeconds),
          abortSignal,
        }),
      )
      if (page.gone) throw new FeedGone({ status: 410 })
      if (page.events.length > 0) {
        const receipt = await job.activities.deliver({ label: job.input.label, events: page.events })
        job.state.delivered += receipt.accepted
        job.state.cursor = page.next
      }
      return job.again()
    },
    updates: {
      reconfigure: (job, { pollSeconds }) => {
        const previous = job.state.pollSeconds ?? job.input.pollSeconds
        job.state.pollSeconds = pollSeconds
        return { previous }
      },
    },
    queries: {
      progress: (view) => ({ cursor: view.state.cursor, delivered: view.state.delivered, idleSeconds: view.idleSeconds }),
    },
  })

/** Runs on any worker that registers it. */
export const feedActivities = (sink: Sink) =>
  tenantFeed.activities({
    deliver: async (call, { label, events }) => {
      const answer = await sink.post({ tenant: call.key, label, events, fence: call.fence, id: call.id, abortSignal: call.abortSignal })
      if ("rejected" in answer) throw new Rejected({ reason: answer.rejected })
      return answer
    },
  })
