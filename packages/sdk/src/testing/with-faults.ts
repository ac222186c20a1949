/**
 * `withFaults`: a test of a job, repeated with everything that can go wrong. What it gives must be what it gives when nothing does: that is what
 * durable means. A body of a step may run twice, so that its effects must be idempotent; here it shows.
 */
import { isDeepStrictEqual } from "node:util"
import { BadOption, ScenarioDiffers } from "../errors.ts"
import { refuseUnknown } from "../options.ts"
import type { Calls, TestEnv, TestEnvOptions, TestFaults } from "./env.ts"
import { createTestEnv } from "./env.ts"
import type { Fault } from "./faults.ts"

export interface WithFaultsOptions {
  /** Try only so many faults, drawn by `seed`; default: all of them, which is 5 for each write and some more. */
  readonly sample?: number
  /** Default 1. The same seed draws the same faults. */
  readonly seed?: number
}

export interface FaultTrials<A> {
  /** What the test gave, each time. */
  readonly result: A
  /** How often it ran, the first time without a fault. */
  readonly trials: number
}

/** All faults that can strike where the calm trial called the store. */
const plan = ({ writes, takes, claims }: Calls): ReadonlyArray<TestFaults> => {
  const at = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, n) => n)
  const faults: ReadonlyArray<Fault> = [
    ...at(writes).flatMap((n): ReadonlyArray<Fault> =>
      (["before", "after", "frozen", "repeat"] as const).map((kind) => ({ verb: "write", at: n, kind })),
    ),
    ...at(takes).map((n): Fault => ({ verb: "take", at: n, kind: "lost" })),
    ...at(claims).map((n): Fault => ({ verb: "claim", at: n, kind: "lost" })),
  ]
  const hints = (["lost", "doubled", "late"] as const).map((kind) => ({ hints: kind }))
  return [...hints, { repeatClient: true }, { parking: 1 }, ...faults.map((fault) => ({ fault }))]
}

/** `count` of them, in an order that the seed decides (mulberry32, Fisher and Yates). */
const draw = <A>(all: ReadonlyArray<A>, count: number, seed: number): ReadonlyArray<A> => {
  const items = [...all]
  let state = seed >>> 0
  const random = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[items[i], items[j]] = [items[j] as A, items[i] as A]
  }
  return items.slice(0, count)
}

/**
 * Runs `scenario` in a test environment of its own without a fault, then once for each: the worker dies before and after each of its writes, is
 * frozen there until another took over, loses the reply of each write, take and claim; hints are lost, doubled, late; each write of the client
 * comes twice; handlers that only wait leave memory each time. Throws when the scenario throws, or gives something else than the first time. It must give what does not depend on the trial:
 * results, states, what a fake outside has in the end; not times of the real clock, ids, or how often something was tried.
 */
export const withFaults = async <A>(
  options: Omit<TestEnvOptions, "faults"> | (() => Omit<TestEnvOptions, "faults">),
  scenario: (env: TestEnv) => Promise<A>,
  { sample, seed = 1, ...unknown }: WithFaultsOptions = {},
): Promise<FaultTrials<A>> => {
  refuseUnknown(unknown, ["sample", "seed"], "withFaults")
  if (sample !== undefined && !(Number.isInteger(sample) && sample >= 1))
    throw new BadOption(`expected sample of withFaults to be a positive integer, got: ${JSON.stringify(sample)}`)
  const tryOut = async (faults: TestFaults): Promise<{ readonly result: A; readonly calls: Calls }> => {
    const env = await createTestEnv({ ...(typeof options === "function" ? options() : options), faults })
    try {
      const result = await scenario(env)
      return { result, calls: env.calls }
    } finally {
      await env.close()
    }
  }
  const calm = await tryOut({})
  const all = plan(calm.calls)
  const chosen = sample === undefined ? all : draw(all, sample, seed)
  for (const faults of chosen) {
    const { result } = await tryOut(faults).catch((error: unknown) => {
      throw new ScenarioDiffers(
        `the scenario failed under ${JSON.stringify(faults)}: ${error instanceof Error ? error.message : String(error)}`,
        { faults },
        error,
      )
    })
    if (!isDeepStrictEqual(result, calm.result))
      throw new ScenarioDiffers(
        `the scenario gave ${JSON.stringify(result)} under ${JSON.stringify(faults)}, and ${JSON.stringify(calm.result)} without a fault. ` +
          "Something in the job happens twice, or is lost, when its worker dies: do it in a step, make its effect idempotent, or fence it. " +
          "If it only came later, let the scenario advance further before it looks.",
        { faults, expected: calm.result, found: result },
      )
  }
  return { result: calm.result, trials: chosen.length + 1 }
}
