import { describe, expect, test } from "vitest"
import { judge, verdictLine } from "../src/verdict.ts"
import { delivered, goodHistory, ran, told, type Draft } from "./history.ts"

const judged = (damage: (draft: Draft) => void) => {
  const draft = goodHistory()
  damage(draft)
  return judge(draft)
}

/** The final counts follow, so that only the damage at hand is found. */
const counts = (draft: Draft, count: Record<string, number>) => {
  draft.script.pop()
  told(draft, 390, { type: "final", desired: ["a", "b"], delivered: count })
}

describe("a history in which all went well", () => {
  const verdict = judge(goodHistory())

  test("is ok, with its figures", () => {
    expect(verdict).toEqual({
      ok: true,
      tenants: 2,
      events: 7,
      lost: 0,
      duplicated: 0,
      redelivered: 1,
      staleRefused: 0,
      overlaps: 0,
      takeoverMs: 40,
      handoffMs: 5,
      handoffP50Ms: 5,
      shardsMoved: 4,
      shardsMovedIdeal: 4,
      reconciled: { added: 0, deleted: 1, changed: 1 },
      settingsSeenMs: 21,
      problems: [],
    })
  })

  test("gives the line of the issue, name by name", () => {
    expect(verdictLine(verdict, "file:ponos.db")).toBe(
      '{"ok":true,"store":"file:ponos.db","tenants":2,"events":7,"lost":0,"duplicated":0,"redelivered":1,"staleRefused":0,"overlaps":0,' +
        '"takeoverMs":40,"handoffMs":5,"shardsMoved":4,"shardsMovedIdeal":4}',
    )
  })
})

describe("events", () => {
  test("a gap is a lost event", () => {
    const verdict = judged((draft) => {
      const index = draft.deliveries.findIndex(({ tenant, accepted }) => tenant === "a" && accepted.includes(3))
      draft.deliveries.splice(index, 1)
      counts(draft, { a: 3, b: 2 })
    })
    expect(verdict).toMatchObject({ ok: false, lost: 1, duplicated: 0, problems: ["a: 1 of 4 events were not accepted (3)"] })
  })

  test("what never arrived at the end of a feed is lost too", () => {
    const verdict = judged((draft) => {
      draft.deliveries.pop()
      counts(draft, { a: 4, b: 1 })
    })
    expect(verdict).toMatchObject({ ok: false, lost: 1, problems: ["b: 1 of 2 events were not accepted (2)"] })
  })

  test("a tenant that was never served has lost all its events", () => {
    const verdict = judged((draft) => {
      draft.deliveries.splice(0, Infinity, ...draft.deliveries.filter(({ tenant }) => tenant !== "b"))
      counts(draft, { a: 4, b: 0 })
    })
    expect(verdict).toMatchObject({ ok: false, lost: 2 })
  })

  test("a deleted tenant may end anywhere, but has no gap before", () => {
    expect(judged((draft) => delivered(draft, "c", 110, [2, 3]))).toMatchObject({ ok: true, lost: 0 })
    expect(judged((draft) => delivered(draft, "c", 110, [3]))).toMatchObject({ ok: false, lost: 1 })
  })

  test("an event accepted twice is a duplicate, though nothing is missing", () => {
    const verdict = judged((draft) => delivered(draft, "b", 330, [2]))
    expect(verdict).toMatchObject({ ok: false, lost: 0, duplicated: 1, problems: ["b: 1 events were accepted twice"] })
  })

  test("events accepted out of their order are a failure", () => {
    const verdict = judged((draft) => {
      draft.deliveries.splice(0, Infinity, ...draft.deliveries.filter(({ tenant }) => tenant !== "b"))
      delivered(draft, "b", 50, [2])
      delivered(draft, "b", 320, [1])
    })
    expect(verdict).toMatchObject({ ok: false, lost: 0, duplicated: 0, problems: ["b: event 1 was accepted after 2"] })
  })

  test("what the receiver recognised or refused is counted, and is no failure", () => {
    const verdict = judged((draft) => {
      delivered(draft, "a", 300, [], { redelivered: [3, 4] })
      delivered(draft, "a", 301, [], { status: 409 })
    })
    expect(verdict).toMatchObject({ ok: true, redelivered: 3, staleRefused: 1 })
  })
})

describe("one owner", () => {
  test("two workers that run one tenant at the same time overlap", () => {
    const verdict = judged((draft) => ran(draft, "w3", "b", 189, 195))
    expect(verdict).toMatchObject({ ok: false, overlaps: 2 })
    expect(verdict.problems[0]).toBe("b: run on w2 and run on w3 overlapped by 1.000 ms")
  })

  test("so do a run and a connection that is still held elsewhere", () => {
    const verdict = judged((draft) => ran(draft, "w2", "b", 10, 310, "v1", "hold"))
    expect(verdict).toMatchObject({ ok: false, overlaps: 1 })
  })

  test("a handler that never ended overlaps with all that follow on other workers", () => {
    expect(judged((draft) => ran(draft, "w2", "b", 299))).toMatchObject({ ok: false, overlaps: 1 })
  })

  test("a handler that was cut off by a kill ends with it, not before", () => {
    const cut = (ms: number) => judged((draft) => ran(draft, "w3", "a", ms, ms + 1)).overlaps
    expect(cut(100.1)).toBe(1)
    expect(cut(100.2)).toBe(0)
  })

  test("one after the other, at the same nanosecond, is no overlap; and neither are two handlers of one worker", () => {
    expect(
      judged((draft) => {
        ran(draft, "w2", "b", 302, 303)
        ran(draft, "w3", "b", 303, 304)
        ran(draft, "w3", "b", 350, 351, "v1", "query")
      }),
    ).toMatchObject({ ok: true, overlaps: 0 })
  })

  test("no record of a run is no proof", () => {
    const verdict = judged((draft) => {
      for (const name of ["w1", "w2"])
        draft.workers[name] = draft.workers[name]!.filter((record) => record.type !== "begin" || record.tenant !== "c")
    })
    expect(verdict.problems).toEqual(["c: 1 events were accepted, but no worker recorded a run of its job"])
  })
})

describe("moves", () => {
  test("a tenant that never came back after the kill or the drain is a failure", () => {
    const without = (tenant: string, worker: string, after: number) =>
      judged((draft) => {
        for (const name of ["w2", "w3"])
          draft.workers[name] = draft.workers[name]!.filter(
            (record) => record.type !== "begin" || record.tenant !== tenant || Number(record.t) < after * 1e6,
          )
        expect(draft.workers[worker]).toBeDefined()
      })
    expect(without("a", "w1", 100).problems).toContain("a: never ran again after w1 was killed")
    expect(without("b", "w2", 303).problems).toContain("b: never ran again after w2 was drained")
  })

  test("a shard that moves without need is counted", () => {
    const verdict = judged((draft) => {
      draft.workers["w2"]!.push({ t: "210000000", type: "shard", event: "claimed", shard: 0 })
      draft.workers["w3"]!.push({ t: "220000000", type: "shard", event: "claimed", shard: 0 })
    })
    expect(verdict).toMatchObject({ ok: true, shardsMoved: 6, shardsMovedIdeal: 4 })
  })
})

describe("reconciliation", () => {
  test("an iteration with old settings after the new ones were applied is a failure", () => {
    const verdict = judged((draft) => ran(draft, "w3", "a", 401, 402, "v1"))
    expect(verdict.problems).toEqual(["a: 1 iterations began with old settings after v2 was applied"])
  })

  test("so is a run of a tenant whose job was stopped", () => {
    expect(judged((draft) => ran(draft, "w2", "c", 265, 266)).problems).toEqual(["c: ran 1 times after its job was stopped"])
  })

  test("a tenant without a job, and a job without a tenant, are failures", () => {
    const verdict = judged((draft) => counts(draft, { a: 4, z: 0 }))
    expect(verdict.problems).toEqual(["tenants without a running job: b", "jobs without a tenant: z"])
  })

  test("a job that counts other than the receiver is a failure", () => {
    expect(judged((draft) => counts(draft, { a: 4, b: 3 })).problems).toEqual(["b: its job counts 3 delivered events, the receiver 2"])
  })

  test("a script that broke off proves nothing", () => {
    expect(judged((draft) => draft.script.splice(-2)).problems).toContain("the script did not come to its end")
  })
})
