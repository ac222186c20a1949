import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { restartDelays } from "../../src/supervisor/backoff.ts"
import {
  beginFleet,
  isAlive,
  stepFleet,
  type Fleet,
  type FleetAction,
  type FleetEvent,
  type FleetPolicy,
} from "../../src/supervisor/fleet.ts"

const policy: FleetPolicy = { processes: 2, tries: 3, delaysMs: [10, 20] }

const show = (action: FleetAction): string => {
  switch (action.type) {
    case "start":
    case "drain":
    case "kill":
      return `${action.type} ${action.number}.${action.life}`
    case "wait":
      return `wait ${action.number}.${action.life} ${action.delayMs} ms`
    case "limit":
      return `limit ${action.number}.${action.life}`
    case "deadline":
      return "deadline"
    case "end":
      return `end ${action.clean ? "clean" : "not clean"}${action.fault === undefined ? "" : ` (${action.fault.number}, ${action.fault.tries} tries: ${action.fault.why})`}`
  }
}

/** `ready 1.1`, `scale 3`, `died 1.1 0`, `died 1.1 SIGKILL`, `died 1.1 1 hopeless`, `stop`. */
const parse = (line: string): FleetEvent => {
  const [type, name = "", end = "", hopeless] = line.split(" ")
  const [number = 0, life = 0] = name.split(".").map(Number)
  if (type === "ready" || type === "healthy" || type === "due" || type === "overdue") return { type, number, life }
  if (type === "scale") return { type, processes: Number(name) }
  if (type === "stop" || type === "kill" || type === "deadline") return { type }
  const bySignal = end.startsWith("SIG")
  return {
    type: "died",
    number,
    life,
    code: bySignal ? null : Number(end),
    signal: bySignal ? end : null,
    why: end,
    hopeless: hopeless === "hopeless",
  }
}

const transcript = (script: string): string => {
  let fleet = beginFleet(policy)[0]
  return script
    .trim()
    .split("\n")
    .map((line) => {
      const [next, actions] = stepFleet(fleet, parse(line.trim()))
      fleet = next
      const members = fleet.members.map(({ number, life, phase, failures }) => `${number}.${life} ${phase} ${failures}`)
      return `${line.trim().padEnd(22)} → ${(actions.map(show).join(", ") || "-").padEnd(32)} ${fleet.phase}: ${members.join(", ")}`
    })
    .join("\n")
}

describe("a fleet", () => {
  test("begins with a process for each number", () => {
    expect(beginFleet(policy)[1].map(show)).toEqual(["start 1.1", "start 2.1"])
  })

  test("starts again what died, later each time, until it was healthy (F1, F3)", () => {
    expect(
      transcript(`
        ready 1.1
        ready 2.1
        healthy 2.1
        died 1.1 SIGKILL
        due 1.1
        ready 1.2
        died 1.2 1
        due 1.2
        died 1.3 1
        due 1.3
        ready 1.4
        healthy 1.4
        died 1.4 0
        due 1.4
      `),
    ).toMatchSnapshot()
  })

  test("gives up when a module never worked, and drains the others (F4)", () => {
    expect(
      transcript(`
        died 1.1 1
        due 1.1
        died 1.2 1
        due 1.2
        ready 2.1
        died 1.3 1
        died 2.1 0
      `),
    ).toMatchSnapshot()
  })

  test("gives up at once when its start is hopeless, but not when some process was healthy (F4)", () => {
    expect(transcript("died 1.1 1 hopeless\ndied 2.1 SIGTERM")).toMatchSnapshot("hopeless")
    expect(transcript("ready 2.1\nhealthy 2.1\ndied 1.1 1 hopeless")).toMatchSnapshot("healthy once")
  })

  test("ends clean when all drained (F5, F6)", () => {
    expect(
      transcript(`
        ready 1.1
        stop
        stop
        ready 2.1
        died 1.1 0
        died 2.1 0
        deadline
      `),
    ).toMatchSnapshot()
  })

  test("ends clean when a signal reached a process that was only starting, and not when it reached a running one (F6)", () => {
    expect(transcript("ready 1.1\nstop\ndied 1.1 0\ndied 2.1 SIGTERM")).toMatchSnapshot("starting")
    expect(transcript("ready 1.1\nready 2.1\nstop\ndied 1.1 0\ndied 2.1 SIGTERM")).toMatchSnapshot("running")
  })

  test("kills at the deadline, or when it is told to, once (F5, F6)", () => {
    expect(transcript("ready 1.1\nready 2.1\nstop\ndied 1.1 0\ndeadline\nkill\ndied 2.1 SIGKILL")).toMatchSnapshot("at the deadline")
    expect(transcript("ready 1.1\nready 2.1\nkill\ndeadline\ndied 1.1 SIGKILL\ndied 2.1 SIGKILL")).toMatchSnapshot("when told to")
  })

  test("stops at once when all wait", () => {
    expect(transcript("died 1.1 1\ndied 2.1 1\nstop\ndue 1.1")).toMatchSnapshot()
  })

  test("ignores what comes late (F7)", () => {
    expect(transcript("died 1.1 1\ndue 1.1\ndied 1.1 1\nhealthy 1.1\nready 1.1\ndue 1.1")).toMatchSnapshot()
  })

  test("scales up: starts what lacks, and keeps it (F8)", () => {
    expect(transcript("ready 1.1\nready 2.1\nscale 4\nready 4.1\ndied 3.1 1\ndue 3.1\nready 3.2\nscale 4")).toMatchSnapshot()
  })

  test("scales down: drains the highest numbers, and forgets them when they have died (F8)", () => {
    expect(
      transcript(`
        ready 1.1
        scale 4
        ready 3.1
        died 4.1 1
        scale 1
        scale 1
        due 4.1
        healthy 3.1
        died 2.1 0
        overdue 3.1
        overdue 3.1
        died 3.1 SIGKILL
        died 1.1 1
        due 1.1
      `),
    ).toMatchSnapshot()
  })

  test("a number that is wanted again starts after its last process has died, with a life of its own (F1, F7, F8)", () => {
    expect(
      transcript(`
        ready 1.1
        ready 2.1
        scale 0
        scale 2
        died 2.1 0
        died 2.1 0
        ready 2.2
        died 1.1 SIGKILL
        scale 1
        died 2.2 0
        scale 2
        died 2.2 1
        ready 2.3
      `),
    ).toMatchSnapshot()
  })

  test("stops while some leave: they are not told twice, and it ends when all have died", () => {
    expect(
      transcript("ready 1.1\nready 2.1\nscale 1\noverdue 2.1\nstop\nscale 5\ndeadline\ndied 1.1 SIGKILL\ndied 2.1 SIGKILL"),
    ).toMatchSnapshot("not clean")
    expect(transcript("ready 1.1\nready 2.1\nscale 0\ndied 1.1 0\ndied 2.1 0\nstop")).toMatchSnapshot("clean")
  })

  test("keeps its invariants whatever happens", () => {
    const event = fc.oneof(
      {
        weight: 30,
        arbitrary: fc.record({
          type: fc.constantFrom("ready", "healthy", "due", "overdue"),
          number: fc.integer({ min: 1, max: 3 }),
          life: fc.integer({ min: 1, max: 6 }),
        }),
      },
      {
        weight: 30,
        arbitrary: fc.record({
          type: fc.constant("died" as const),
          number: fc.integer({ min: 1, max: 3 }),
          life: fc.integer({ min: 1, max: 6 }),
          code: fc.constantFrom(0, 1, null),
          signal: fc.constant(null),
          why: fc.constant(""),
          hopeless: fc.boolean(),
        }),
      },
      { weight: 5, arbitrary: fc.record({ type: fc.constant("scale"), processes: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("stop", "kill", "deadline") }) },
    )
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), fc.integer({ min: 1, max: 3 }), (events, processes) => {
        let [fleet, actions] = beginFleet({ ...policy, processes })
        const living = new Map<number, number>()
        const seen = new Set<string>()
        let ended = false
        const check = (before: Fleet | undefined): void => {
          for (const action of actions) {
            expect(ended, "nothing after the end (F6)").toBe(false)
            if (action.type === "start") {
              expect(living.has(action.number), "one process a number (F1)").toBe(false)
              expect(fleet.phase, "no start after a stop (F5)").toBe("open")
              living.set(action.number, action.life)
            }
            if (action.type === "drain" || action.type === "kill") {
              expect(living.get(action.number)).toBe(action.life)
              expect(seen.has(show(action)), "each once (F5)").toBe(false)
              seen.add(show(action))
            }
            if (action.type === "wait" && before !== undefined) expect(before.phase).toBe("open")
            if (action.type === "end") {
              expect(living.size, "nothing lives at the end (F6)").toBe(0)
              ended = true
            }
          }
          if (fleet.phase === "open") {
            expect(
              fleet.members.every((member) => isAlive(member) || member.phase === "waiting"),
              "none is forgotten (F2)",
            ).toBe(true)
            const numbers = fleet.members.map(({ number }) => number)
            for (let number = 1; number <= fleet.policy.processes; number++) expect(numbers, "none is forgotten (F2)").toContain(number)
            const surplus = fleet.members.filter(({ number }) => number > fleet.policy.processes)
            expect(
              surplus.every(({ phase }) => phase === "leaving"),
              "what is too many leaves (F8)",
            ).toBe(true)
          }
          if (fleet.fault !== undefined) expect(fleet.clean).toBe(false)
          expect(ended).toBe(fleet.phase === "ended")
        }
        check(undefined)
        for (const one of events as ReadonlyArray<FleetEvent>) {
          const before = fleet
          if (one.type === "died" && living.get(one.number) === one.life) living.delete(one.number)
          ;[fleet, actions] = stepFleet(before, one)
          check(before)
        }
      }),
    )
  })
})

test("delays double from the first to the longest", () => {
  expect(restartDelays(500, 30_000)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000])
  expect(restartDelays(500, 500)).toEqual([500])
})
