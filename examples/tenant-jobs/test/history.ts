/** A short recorded history in which all went well, for tests that then damage it. Times are ms; the records carry ns. */
import type { DeliveryRecord, Handler, ScriptRecord, Timed, WorkerRecord } from "../src/records.ts"
import type { History } from "../src/verdict.ts"

const at = (ms: number): string => BigInt(Math.round(ms * 1e6)).toString()

export interface Draft {
  readonly deliveries: Timed<DeliveryRecord>[]
  readonly workers: Record<string, Timed<WorkerRecord>[]>
  readonly script: Timed<ScriptRecord>[]
}

/** Adds one execution of a handler; without `end` it was cut off. */
export const ran = (
  draft: Draft,
  worker: string,
  tenant: string,
  begin: number,
  end?: number,
  label = "v1",
  handler: Handler = "run",
): void => {
  const records = (draft.workers[worker] ??= [])
  const id = records.length + 1
  records.push({ t: at(begin), type: "begin", id, handler, tenant, label })
  if (end !== undefined) records.push({ t: at(end), type: "end", id })
}

export const delivered = (draft: Draft, tenant: string, ms: number, accepted: number[], more: Partial<DeliveryRecord> = {}): void => {
  draft.deliveries.push({
    t: at(ms),
    type: "delivery",
    tenant,
    fence: "1",
    call: `${tenant}-${ms}`,
    label: "v1",
    status: 200,
    accepted,
    redelivered: [],
    ...more,
  })
}

export const told = (draft: Draft, ms: number, record: ScriptRecord): void => {
  draft.script.push({ t: at(ms), ...record })
}

const claimed = (draft: Draft, worker: string, ms: number, shards: number[]): void => {
  const records = (draft.workers[worker] ??= [])
  for (const shard of shards) records.push({ t: at(ms), type: "shard", event: "claimed", shard })
}

/**
 * Two tenants and three shards. w1 runs a, w2 runs b. At 100 w1 is killed during a run, and a goes on at w2 at 140. At 200 w3 joins and is
 * given a; at 300 w2 is drained and b goes on at w3. At 250 the settings of a change; at 260 tenant c, that ran on w2, is stopped.
 */
export const goodHistory = (): Draft => {
  const draft: Draft = { deliveries: [], workers: {}, script: [] }
  claimed(draft, "w1", 1, [0])
  claimed(draft, "w2", 1, [1, 2])
  told(draft, 2, { type: "settled", workers: ["w1", "w2"] })
  ran(draft, "w1", "a", 10, 90)
  delivered(draft, "a", 50, [1, 2])
  ran(draft, "w2", "b", 10, 190)
  delivered(draft, "b", 50, [1])
  ran(draft, "w2", "c", 15, 120)
  delivered(draft, "c", 60, [1])
  ran(draft, "w1", "a", 95)
  told(draft, 100, { type: "killed", worker: "w1", sent: at(100.2) })
  told(draft, 102, { type: "exited", worker: "w1", code: null, signal: "SIGKILL" })
  claimed(draft, "w2", 130, [0])
  ran(draft, "w2", "a", 140, 195)
  delivered(draft, "a", 150, [3], { redelivered: [2] })
  told(draft, 190, { type: "settled", workers: ["w2"] })
  claimed(draft, "w3", 200, [0])
  ran(draft, "w3", "a", 201, 270)
  told(draft, 240, { type: "settled", workers: ["w2", "w3"] })
  told(draft, 250, { type: "changed", tenants: ["a"], label: "v2" })
  told(draft, 255, { type: "applied", tenants: ["a"], label: "v2" })
  told(draft, 260, { type: "gone", tenants: ["c"] })
  ran(draft, "w3", "a", 271, 400, "v2")
  delivered(draft, "a", 290, [4], { label: "v2" })
  ran(draft, "w2", "b", 191, 302)
  told(draft, 300, { type: "draining", worker: "w2" })
  claimed(draft, "w3", 304, [1, 2])
  ran(draft, "w3", "b", 307, 400)
  delivered(draft, "b", 320, [2])
  told(draft, 350, { type: "settled", workers: ["w3"] })
  told(draft, 360, { type: "silent", emitted: { a: 4, b: 2, c: 9 } })
  told(draft, 390, { type: "final", desired: ["a", "b"], delivered: { a: 4, b: 2 } })
  return draft
}

export const asHistory = (draft: Draft): History => draft
