/** The activities that a run waits for: from its journal, and from its owner what only that has heard. */
import type { LoadedRun } from "../engine/engine.ts"
import { parseJournal } from "../runtime/journal.ts"
import type { PendingActivity } from "../runtime/pending-activity.ts"
import { pendingOf } from "../runtime/pending-activity.ts"
import { decodeValue } from "../runtime/value.ts"
import type { ClientCore } from "./core.ts"
import type { DescribedActivity } from "./options.ts"

/** How long the owner is waited for, ms: without it the journal must do. */
const ownerMs = 500

export const describeActivities = async (core: ClientCore, shard: number, run: LoadedRun): Promise<ReadonlyArray<DescribedActivity>> => {
  if (run.journal.length === 0) return []
  const pending = pendingOf(parseJournal(run.address, run.journal))
  if (pending.length === 0) return []
  const heard = run.phase === "active" ? await ask(core, shard, run) : []
  return pending.map((known) => describe({ ...known, ...heard.find((one) => one.call === known.call && one.attempt >= known.attempt) }))
}

const ask = async (core: ClientCore, shard: number, { address, run }: LoadedRun): Promise<ReadonlyArray<PendingActivity>> => {
  try {
    const answer = await core.request(shard, { type: "activities", address, run }, ownerMs, `how the activities of ${address} are`)
    return JSON.parse(answer) as ReadonlyArray<PendingActivity>
  } catch {
    return []
  }
}

const describe = ({ name, attempt, scheduled, due, started, worker, beat, details, lastError }: PendingActivity): DescribedActivity => ({
  name,
  attempt,
  scheduledAt: date(scheduled),
  startsAt: date(due),
  startedAt: date(started),
  worker,
  heartbeatAt: date(beat),
  heartbeat: details === undefined ? undefined : decodeValue(details),
  lastError,
})

const date = (time: number | undefined): Date | undefined => (time === undefined ? undefined : new Date(time))
