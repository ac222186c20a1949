/** Proves the checker: a sound history passes, and one with an overlap, a loss, a reorder or a double count does not. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { checkHistory, type CheckOptions } from "./history-check.ts"
import type { Final, History, ScriptLine, WorkerLine } from "./history.ts"

/**
 * A transcript of one key, `k`, run `r`; first the time. Of a worker, with the number of its handler:
 * `1 a1 begin 10` (fence) · `2 a1 message 1` · `2 a1 step b given x` · `3 a1 end`; else `1 killed a` · `1 sent 3` · `9 final 1,2,3 [1:x,2:y]` · `9 wentBack 4 [k]`
 * (keys that did not).
 */
const parse = (transcript: string): History => {
  const workers: WorkerLine[] = []
  const script: ScriptLine[] = []
  const final: Final[] = []
  let iteration = 0
  for (const line of transcript.trim().split("\n")) {
    const [time, who = "", what = "", a = "", b = "", c = ""] = line.trim().split(/ +/)
    const at = Number(time)
    const key = "k"
    if (who === "killed" || who === "frozen" || who === "thawed" || who === "exited") script.push({ at, what: who, worker: what })
    else if (who === "flushed") script.push({ at, what: who })
    else if (who === "wentBack") script.push({ at, what: who, from: Number(what), kept: a === "" ? [] : a.split(",") })
    else if (who === "started") script.push({ at, what: who, key, run: what || "r" })
    else if (who === "sent" || who === "unknown") script.push({ at, what: who, key, n: Number(what) })
    else if (who === "final") {
      const iterations = a === "" ? [] : a.split(",").map((one) => one.split(":"))
      final.push({
        key,
        run: "r",
        log: what === "-" ? [] : what.split(",").map(Number),
        iterations: iterations.map(([number, value = ""]) => [Number(number), value]),
      })
    } else if (what === "stalled") workers.push({ at, what, worker: who, from: Number(a), to: Number(b) })
    else {
      const of = { at, worker: who.slice(0, 1), handler: Number(who.slice(1)), key }
      if (what === "begin") workers.push({ ...of, what, run: "r", fence: a, iteration: Number(b || ++iteration) })
      else if (what === "message") workers.push({ ...of, what, n: Number(a) })
      else if (what === "step") workers.push({ ...of, what, step: a, value: "", given: c })
      else workers.push({ ...of, what: what as "end" })
    }
  }
  return { workers, script, final, repeats: () => false }
}

const problems = (transcript: string, options?: CheckOptions): ReadonlyArray<string> =>
  checkHistory(parse(transcript), options).problems.map(({ rule, text }) => `${rule} ${text}`)

const sound: Readonly<Record<string, string>> = {
  "one handler after the other": `
    1 started
    2 a1 begin 10
    3 sent 1
    4 a1 message 1
    5 a1 end
    6 sent 2
    7 b1 begin 20
    8 b1 message 2
    9 b1 end
    10 final 1,2`,
  "a killed process ends its handlers": `
    1 started
    2 a1 begin 10
    3 killed a
    4 b1 begin 20
    5 b1 end
    6 final -`,
  "a frozen process runs nothing": `
    1 started
    2 a1 begin 10
    3 frozen a
    4 b1 begin 20
    5 b1 end
    6 thawed a
    7 a1 end
    8 final -`,
  "a loop that stands still runs no handler, also while its process is frozen": `
    1 started
    2 a1 begin 10
    3 frozen a
    5 thawed a
    6 a stalled 2.5 6
    4 b1 begin 20
    5.5 b1 end
    7 a1 end
    8 final -`,
  "an iteration again after a crash, with the journaled value": `
    1 started
    2 a1 begin 10 1
    3 a1 step b given x
    4 killed a
    5 b1 begin 20 1
    6 b1 step b given x
    7 b1 end
    8 b2 begin 21 2
    9 b2 end
    10 final - 1:x,2:y`,
  "what was acknowledged before the store was emptied is void": `
    1 started old
    2 sent 1
    3 flushed
    4 started
    5 a1 begin 10
    6 sent 2
    7 a1 message 2
    8 a1 end
    9 final 2`,
  "what was acknowledged while the next primary got nothing is void": `
    1 started
    2 a1 begin 10 1
    3 sent 1
    4 a1 message 1
    5 sent 2
    6 a1 step b given x
    7 a1 end
    8 wentBack 4.5
    9 b1 begin 20 1
    10 b1 message 1
    11 b1 step b given y
    12 sent 3
    13 b1 message 3
    14 b1 end
    15 final 1,3 1:y`,
  "a message whose fate is unknown may be there or not": `
    1 started
    2 a1 begin 10
    3 unknown 1
    4 sent 2
    5 a1 end
    6 final 2`,
}

const broken: Readonly<Record<string, { readonly transcript: string; readonly problems: ReadonlyArray<string> }>> = {
  "an overlap": {
    transcript: `
      1 started
      2 a1 begin 10
      4 b1 begin 20
      5 a1 end
      6 b1 end
      7 final -`,
    problems: ["H1 ran on a (fence 10, from 2.0) and b (fence 20, from 4.0) at once, for 1.0 ms, 0.0 of them after a thaw"],
  },
  "a handler that never ended": {
    transcript: `
      1 started
      2 a1 begin 10
      4 b1 begin 20
      6 b1 end
      7 final -`,
    problems: ["H1 ran on a (fence 10, from 2.0) and b (fence 20, from 4.0) at once, for 2.0 ms, 0.0 of them after a thaw"],
  },
  "a thawed process that runs on beside the next owner": {
    transcript: `
      1 started
      2 a1 begin 10
      3 frozen a
      4 b1 begin 20
      5 thawed a
      8 a1 end
      9 b1 end
      10 final -`,
    problems: ["H1 ran on a (fence 10, from 2.0) and b (fence 20, from 4.0) at once, for 3.0 ms, 3.0 of them after a thaw"],
  },
  "a thawed process that works on in the turn with which it goes on": {
    transcript: `
      1 started
      2 a1 begin 10
      3 frozen a
      4 b1 begin 20
      15 thawed a
      16 sent 1
      17 a1 message 1
      20 a1 end
      21 a stalled 2.5 21
      22 b1 end
      23 final 1`,
    problems: ["H1 ran on a (fence 10, from 2.0) and b (fence 20, from 4.0) at once, for 3.0 ms, 3.0 of them after a thaw"],
  },
  "a fence that does not grow": {
    transcript: `
      1 started
      2 a1 begin 20
      3 a1 end
      4 b1 begin 20
      5 b1 end
      6 final -`,
    problems: ["H2 fence 20 on b came after 20 on a"],
  },
  "a fence that went back with the store": {
    transcript: `
      1 started
      2 a1 begin 10
      3 a1 end
      5 a2 begin 30
      6 a2 end
      8 wentBack 4
      9 b1 begin 20
      10 b1 end
      11 final -`,
    problems: ["H2 fence 20 on b came after 30 on a"],
  },
  "a message that was lost although the next primary had got it": {
    transcript: `
      1 started
      2 a1 begin 10
      3 sent 1
      5 sent 2
      6 a1 end
      8 wentBack 4
      11 final -`,
    problems: ["H3 1 of 1 acknowledged messages are lost: 1"],
  },
  "a message of a key whose primary did not go back": {
    transcript: `
      1 started
      2 a1 begin 10
      5 sent 1
      6 a1 end
      8 wentBack 4 j,k
      11 final -`,
    problems: ["H3 1 of 1 acknowledged messages are lost: 1"],
  },
  "a lost message": {
    transcript: `
      1 started
      2 a1 begin 10
      3 sent 1
      4 sent 2
      5 sent 3
      6 a1 end
      7 final 1,3`,
    problems: ["H3 1 of 3 acknowledged messages are lost: 2"],
  },
  "a lost start": {
    transcript: "1 started\n2 started q\n3 a1 begin 10\n4 a1 end\n5 final -",
    problems: ["H3 run q was acknowledged and never ran"],
  },
  "a reorder in the log": {
    transcript: `
      1 started
      2 a1 begin 10
      3 sent 1
      4 sent 2
      6 a1 end
      7 final 2,1`,
    problems: ["H4 message 1 was counted after 2"],
  },
  "a reorder that a handler saw": {
    transcript: `
      1 started
      2 a1 begin 10
      3 a1 message 2
      4 a1 message 1
      6 a1 end
      7 final 1,2`,
    problems: ["H4 message 1 came after 2 on a"],
  },
  "a message that was counted twice": {
    transcript: `
      1 started
      2 a1 begin 10
      3 sent 1
      6 a1 end
      7 final 1,1`,
    problems: ["H5 messages were counted twice: 1"],
  },
  "a journaled result that was computed again": {
    transcript: `
      1 started
      2 a1 begin 10 1
      3 a1 step b given x
      4 killed a
      5 b1 begin 20 1
      6 b1 step b given y
      7 b1 end
      8 final - 1:y`,
    problems: ["H5 iteration 1: its first step gave x, and later y"],
  },
  "an iteration that counted another result than its journal had": {
    transcript: `
      1 started
      2 a1 begin 10 1
      3 a1 step b given x
      4 a1 end
      8 final - 1:z`,
    problems: ["H5 iteration 1 counted z, but its journal had x"],
  },
  "an iteration that was counted twice": {
    transcript: "1 started\n2 a1 begin 10\n3 a1 end\n4 final - 1:x,1:x",
    problems: ["H5 iterations counted: 1, 1, expected 2 next"],
  },
  "a run that nobody wrote down": {
    transcript: "1 final 1",
    problems: ["H6 the store holds run r, which no worker wrote down"],
  },
  "no end": { transcript: "1 a1 begin 10\n2 a1 end", problems: ["H6 nothing was read from the store at the end"] },
}

describe("a history is sound:", () => {
  test.each(Object.entries(sound))("%s", (_, transcript) => {
    expect(problems(transcript)).toEqual([])
  })
})

describe("a history fails:", () => {
  test.each(Object.entries(broken))("%s", (_, { transcript, problems: expected }) => {
    expect(problems(transcript)).toEqual(expected)
  })
})

test("what a thawed process does is late, and allowed up to a bound", () => {
  const { transcript = "" } = broken["a thawed process that runs on beside the next owner"] ?? {}
  expect(problems(transcript, { lateMs: 3 })).toEqual([])
  expect(checkHistory(parse(transcript)).lateMs).toBe(3)
  expect(problems(transcript, { lateMs: 2.9 })).toHaveLength(1)
})

test("a fence of an epoch that nobody claimed is found", () => {
  const claimed = () => new Set([1])
  const fence = (epoch: bigint) => String((epoch << 22n) + 5n)
  const transcript = (epoch: bigint) => `1 started\n2 a1 begin ${fence(epoch)}\n3 a1 end\n4 final -`
  expect(problems(transcript(1n), { claimed })).toEqual([])
  expect(problems(transcript(2n), { claimed })).toEqual(["H7 ran on a with epoch 2, of which the audit knows nothing"])
})

/** A sound history of one key: handlers on changing workers, each of which sees what comes. */
const soundHistory = fc
  .array(fc.record({ worker: fc.constantFrom("a", "b", "c"), messages: fc.nat(4), dies: fc.boolean() }), { minLength: 2, maxLength: 8 })
  .map((plan) => {
    const workers: WorkerLine[] = []
    const script: ScriptLine[] = [{ at: 0, what: "started", key: "k", run: "r" }]
    let at = 0
    let n = 0
    const lives = new Map<string, number>()
    for (const [i, { worker, messages, dies }] of plan.entries()) {
      const of = { worker: `${worker}${lives.get(worker) ?? 0}`, handler: i, key: "k" }
      workers.push({ ...of, at: ++at, what: "begin", run: "r", fence: String(i + 1), iteration: i + 1 })
      for (let m = 0; m < messages; m++) {
        script.push({ at: ++at, what: "sent", key: "k", n: ++n })
        workers.push({ ...of, at: ++at, what: "message", n })
      }
      if (dies) {
        script.push({ at: ++at, what: "killed", worker: of.worker })
        lives.set(worker, (lives.get(worker) ?? 0) + 1)
      } else workers.push({ ...of, at: ++at, what: "end" })
    }
    const log = Array.from({ length: n }, (_, m) => m + 1)
    const iterations = plan.map((_, i) => [i + 1, `v${i}`] as const)
    return { workers, script, final: [{ key: "k", run: "r", log, iterations }], repeats: () => false } satisfies History
  })

const rulesOf = (history: History): ReadonlySet<string> => new Set(checkHistory(history).problems.map(({ rule }) => rule))

test("any sound history passes, and each damage to it is found", () => {
  fc.assert(
    fc.property(soundHistory, fc.nat(100), (history, pick) => {
      expect(rulesOf(history)).toEqual(new Set())
      const [final] = history.final
      const { log } = final as Final
      const damaged = (log_: ReadonlyArray<number>): History => ({ ...history, final: [{ ...(final as Final), log: log_ }] })
      if (log.length > 0) {
        const at = pick % log.length
        expect(rulesOf(damaged(log.toSpliced(at, 1)))).toEqual(new Set(["H3"]))
        expect(rulesOf(damaged([...log, log[at] ?? 0]))).toEqual(new Set(["H5"]))
      }
      if (log.length > 1) {
        const at = pick % (log.length - 1)
        expect(rulesOf(damaged([...log.slice(0, at), log[at + 1] ?? 0, log[at] ?? 0, ...log.slice(at + 2)]))).toEqual(new Set(["H4"]))
      }
      // A begin that is moved before the end of the handler before it.
      const begins = history.workers.filter(({ what }) => what === "begin")
      const second = begins[1 + (pick % (begins.length - 1))]
      const first = begins[begins.indexOf(second as WorkerLine) - 1]
      if (first !== undefined && second !== undefined) {
        const workers = history.workers.map((line) => (line === second ? { ...line, at: first.at + 0.5 } : line))
        expect(rulesOf({ ...history, workers })).toContain("H1")
      }
    }),
  )
})
