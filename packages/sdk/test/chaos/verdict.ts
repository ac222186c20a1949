/** What became of a world: the judgements of its histories and of its audits, in one. */
import { shardOf } from "../../src/key.ts"
import { checkAudit, type AuditVerdict } from "../../src/verify/audit-check.ts"
import type { PoolAudit } from "../../src/verify/pool-audit.ts"
import { checkHistory } from "./history-check.ts"
import type { History } from "./history.ts"

/**
 * From the first line that a thawed process writes to the end of its last handler, all of which it aborts first (U5): 32 ms at most in 38 runs of
 * freezes and blocks on two cores with four times as much to do, most of it time in which others had its core.
 */
const lateMs = 100

export interface Verdict {
  readonly ok: boolean
  readonly problems: ReadonlyArray<string>
  /** A machine that is too busy made its servers fail over once more, which may forget what they acknowledged: then problems prove nothing. */
  readonly disturbed: string | undefined
  readonly handlers: number
  readonly messages: number
  readonly updates: number
  readonly families: number
  readonly lateMs: number
  readonly claims: number
  readonly rescues: number
  readonly refused: number
}

/** What was seen beside the history. */
export interface Found {
  readonly problems: ReadonlyArray<string>
  readonly disturbed: string | undefined
}

export const judge = (
  history: History,
  audits: ReadonlyArray<PoolAudit>,
  shards: number,
  { problems: others, disturbed }: Found,
): Verdict => {
  const flushed = history.script.some(({ what }) => what === "flushed")
  const found = checkHistory(history, { lateMs, ...(flushed ? {} : { claimed: (key: string) => claimedOf(audits, shards, key) }) })
  const verdicts: AuditVerdict[] = audits.map(checkAudit)
  const problems = [
    ...others,
    ...found.problems.map(({ rule, key, text }) => `${rule} ${key}: ${text}`),
    ...verdicts.flatMap(({ pool, violations }) =>
      violations.map(({ invariant, shard, text }) => `${invariant} ${pool} shard ${shard}: ${text}`),
    ),
  ]
  const sum = (count: (verdict: AuditVerdict) => number): number => verdicts.reduce((total, verdict) => total + count(verdict), 0)
  return {
    ok: problems.length === 0,
    problems,
    disturbed,
    handlers: found.handlers,
    messages: found.messages,
    updates: found.updates,
    families: found.families,
    lateMs: found.lateMs,
    claims: sum(({ claims }) => claims),
    rescues: sum(({ rescues }) => rescues),
    refused: sum(({ refused }) => refused),
  }
}

/** Epochs of the key's shard, by the audit of its pool. */
const claimedOf = ([run, low]: ReadonlyArray<PoolAudit>, shards: number, key: string): ReadonlySet<number> => {
  const audit = key.startsWith("low/") ? low : run
  const entries = audit?.shards[shardOf(key.slice(key.indexOf("/") + 1), shards)]?.entries ?? []
  return new Set(entries.flatMap((entry) => (entry.type === "claim" ? [entry.epoch] : [])))
}

export const verdictText = ({
  ok,
  problems,
  disturbed,
  handlers,
  messages,
  updates,
  families,
  lateMs: late,
  claims,
  rescues,
  refused,
}: Verdict): string =>
  [
    `${ok ? "✓ ok" : `✗ NOT OK: ${problems.length} problems`}: ${messages} messages and ${updates} updates acknowledged, ${families} families, ${handlers} handlers, ${claims} claims (${rescues} rescues), ` +
      `${refused} stale writes refused, ${late.toFixed(1)} ms late after a thaw`,
    ...(disturbed === undefined ? [] : [`  ${disturbed}${ok ? "" : ": what is found below proves nothing, run it again"}`]),
    ...problems.slice(0, 30).map((problem) => `  ✗ ${problem}`),
    ...(problems.length > 30 ? [`  ✗ and ${problems.length - 30} more`] : []),
  ].join("\n")
