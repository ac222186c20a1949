/** Transcripts: the audit of one shard, a line an entry, and what the checker says. Those that must fail are why it can be believed. */
import { describe, expect, test } from "vitest"
import type { AuditEntry, OwnerName } from "../../src/engine/audit.ts"
import { checkAudit, verdictText } from "../../src/verify/audit-check.ts"
import { epochOf, parseAudit, type PoolAudit, type ShardAudit } from "../../src/verify/pool-audit.ts"

const owner = (text = "-@0"): OwnerName => {
  const [session = "", epoch = "0"] = text.split("@")
  return { session: session === "-" ? "" : session, epoch: Number(epoch) }
}

/**
 * `number at claim s1@5 from -@0 [knows 9]` · `number at release s1@5 [wrote count first last]` · `number at refused take s1@5 owner s2@7`
 * and what the store holds: `header s2@7` · `run 5 kind/a`.
 */
const parse = (transcript: string): ShardAudit => {
  const entries: AuditEntry[] = []
  let header = owner()
  const written: ShardAudit["written"][number][] = []
  for (const line of transcript.trim().split("\n")) {
    const words = line.trim().split(/ +/)
    if (words[0] === "header") header = owner(words[1])
    else if (words[0] === "run") written.push({ epoch: Number(words[1]), runs: 1, example: words[2] ?? "" })
    else {
      const [number, at, type, a, b, c, d, e] = words
      const common = { number: Number(number), at: Number(at) }
      if (type === "claim") entries.push({ ...common, type, ...owner(a), from: owner(c), known: Number(e ?? 0) })
      else if (type === "release")
        entries.push({
          ...common,
          type,
          ...owner(a),
          writes: b === undefined ? undefined : { count: Number(c), first: Number(d), last: Number(e) },
        })
      else
        entries.push({
          ...common,
          type: "refused",
          verb: a as "take",
          ...owner(b),
          header: owner(d),
          count: Number(e ?? 1),
          last: common.at,
          others: 0,
        })
    }
  }
  return { shard: 0, header, entries, written }
}

const pool = (...shards: ShardAudit[]): PoolAudit => ({ pool: "p", store: "memory:", incarnation: "i", readAt: 1000, shards })
const check = (transcript: string) => checkAudit(pool(parse(transcript)))

const sound: Readonly<Record<string, { readonly transcript: string; readonly counts: object; readonly notes?: ReadonlyArray<string> }>> = {
  "a hand-over, a rescue, a refused write": {
    transcript: `
      1 100 claim s1@10 from -@0
      2 200 release s1@10 wrote 7 110 199
      3 200 claim s2@11 from -@10
      4 300 claim s3@12 from s2@11
      5 310 refused commit s2@11 owner s3@12 4
      header s3@12
      run 10 kind/a
      run 11 kind/b
      run 12 kind/c`,
    counts: { claims: 3, rescues: 1, releases: 1, refused: 4, intervals: 1 },
  },
  "its own shard again after an outage is no rescue": {
    transcript: `
      1 100 claim s1@10 from -@0
      2 200 claim s1@20 from s1@10
      header s1@20`,
    counts: { claims: 2, rescues: 0 },
  },
  "an audit whose beginning has left": {
    transcript: `
      41 100 refused take s0@3 owner s1@10
      42 200 release s1@10 wrote 2 50 60
      43 300 claim s2@20 from -@10
      header s2@20
      run 4 kind/a`,
    counts: { claims: 1, releases: 1 },
    notes: ["trimmed"],
  },
  "a store that is older than its audit": {
    transcript: `
      1 100 claim s2@20 from s1@10
      header s2@20
      run 10 kind/a
      run 9 kind/b`,
    counts: { claims: 1, rescues: 1 },
    notes: ["begins late"],
  },
  "a store that was emptied under an owner": {
    transcript: `
      1 100 refused take s1@10 owner -@0
      2 200 claim s2@11 from -@0 knows 10
      header s2@11`,
    counts: { claims: 1, refused: 1 },
    notes: ["emptied"],
  },
  "a clock that stepped back": {
    transcript: `
      1 500 claim s1@10 from -@0
      2 400 claim s2@11 from s1@10
      header s2@11`,
    counts: { claims: 2 },
    notes: ["clock"],
  },
  "a shard that nobody claimed": { transcript: "header -@0", counts: { claims: 0 } },
}

const broken: Readonly<Record<string, { readonly transcript: string; readonly violations: ReadonlyArray<string> }>> = {
  "two epochs that wrote in the same interval": {
    transcript: `
      1 100 claim s1@10 from -@0
      2 200 release s1@10 wrote 7 110 260
      3 210 claim s2@11 from -@10
      4 300 release s2@11 wrote 3 220 290
      header -@11`,
    violations: ["V5 entry 2: s1 with epoch 10 wrote 7 times from 110 to 260, after its release at 200"],
  },
  "writes before the claim": {
    transcript: `
      1 100 claim s1@10 from -@0
      2 200 release s1@10
      3 210 claim s2@11 from -@10
      4 300 release s2@11 wrote 3 190 290
      header -@11`,
    violations: ["V5 entry 4: s2 with epoch 11 wrote 3 times from 190 to 290, before its claim at 210"],
  },
  "an epoch that does not grow": {
    transcript: `
      1 100 claim s1@10 from -@0
      2 200 claim s2@10 from s1@10
      header s2@10`,
    violations: ["V2 entry 2: s2 with epoch 10 does not grow over epoch 10"],
  },
  "an owner of which nothing is known": {
    transcript: `
      1 100 claim s1@10 from -@0
      2 200 claim s3@12 from s2@11
      header s3@12`,
    violations: ["V3 entry 2: s3 with epoch 12 claimed from s2 with epoch 11, but the owner was s1 with epoch 10"],
  },
  "a claim that is missing": {
    transcript: `
      1 100 claim s1@10 from -@0
      3 300 claim s3@12 from s2@11
      header s3@12`,
    violations: [
      "V1 expected entry 2 after 1, got 3",
      "V3 entry 3: s3 with epoch 12 claimed from s2 with epoch 11, but the owner was s1 with epoch 10",
    ],
  },
  "a release by another": {
    transcript: `
      1 100 claim s1@10 from -@0
      2 200 claim s2@11 from s1@10
      3 300 release s1@10
      header -@10`,
    violations: ["V4 entry 3: s1 with epoch 10 released what belonged to s2 with epoch 11"],
  },
  "an owner whose write was refused": {
    transcript: `
      1 100 claim s1@10 from -@0
      2 200 refused commit s1@10 owner s1@10
      header s1@10`,
    violations: ["V6 entry 2: a commit of s1 with epoch 10 was refused, who was the owner"],
  },
  "a header that nobody wrote down": {
    transcript: `
      1 100 claim s1@10 from -@0
      header s2@11`,
    violations: ["V7 the header names s2 with epoch 11, but the last entry left s1 with epoch 10"],
  },
  "a run written by nobody who claimed": {
    transcript: `
      1 100 claim s1@10 from -@0
      2 200 claim s2@20 from s1@10
      header s2@20
      run 15 kind/a
      run 21 kind/b`,
    violations: [
      "V8 1 runs (kind/a) were written under epoch 15, which nobody claimed",
      "V8 1 runs (kind/b) were written under epoch 21, above 20 of the header",
    ],
  },
}

describe("an audit proves that no two epochs wrote in the same interval", () => {
  test.each(Object.entries(sound))("%s", (_, { transcript, counts, notes = [] }) => {
    const verdict = check(transcript)
    expect(verdict.violations).toEqual([])
    expect(verdict).toMatchObject({ ok: true, ...counts })
    expect(verdict.notes.map(({ type }) => type)).toEqual(notes)
  })
})

describe("a history that must fail", () => {
  test.each(Object.entries(broken))("%s", (_, { transcript, violations }) => {
    const verdict = check(transcript)
    expect(verdict.ok).toBe(false)
    expect(verdict.violations.map(({ invariant, text }) => `${invariant} ${text}`)).toEqual(violations)
  })
})

test("the verdict for people", () => {
  const shards = [
    parse(sound["a hand-over, a rescue, a refused write"]?.transcript ?? ""),
    parse(broken["an epoch that does not grow"]?.transcript ?? ""),
  ]
  expect(verdictText(checkAudit(pool(...shards)))).toMatchInlineSnapshot(`
    "pool p on memory:: 2 shards
      5 claims (2 rescues), 1 releases (1 tell when they wrote), 4 stale writes refused
      ✗ V2 shard 0: entry 2: s2 with epoch 10 does not grow over epoch 10
    ✗ NOT OK: 1 violations; V1-V8 are explained in docs/chaos.md"
  `)
})

test("a file that is no saved audit is refused, with what was expected", () => {
  const load = (text: string) => () => parseAudit(text, "a.jsonl")
  expect(load("")).toThrow(/expected a\.jsonl to be a file that ponos verify --save wrote, got: a first line with form undefined/)
  expect(load("no json")).toThrow(/got: line 1 that is no JSON/)
  expect(load('{"form":"ponos-audit-1"}\n{}')).toThrow(/got: line 2 of no shard/)
})

test("revisions tell the epoch of who wrote them", () => {
  expect([epochOf("0"), epochOf("a.1f"), epochOf(`t.${crypto.randomUUID()}`), epochOf("kJ3-_x")]).toEqual([
    undefined,
    10,
    undefined,
    undefined,
  ])
})
