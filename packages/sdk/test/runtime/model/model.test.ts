/** Random workflows do what the model says, whatever happens to their worker. */
import fc from "fast-check"
import { expect, test } from "vitest"
import type { TestFaults } from "../../../src/testing/index.ts"
import { expectedOf } from "./model.ts"
import { cases } from "./programs.ts"
import { disturbanceOf } from "./disturbance.ts"
import { tryOut } from "./trial.ts"

const runs = Number(process.env["PONOS_TEST_RUNS"] ?? 40)
/** A failure prints its seed and the path to its shortest form; these repeat it. */
const seed = Number(process.env["PONOS_TEST_SEED"] ?? 1)
const path = process.env["PONOS_TEST_PATH"]
/** Time for the runs; it also bounds the search for the shortest form of a failure. */
const limitMs = 20_000 + runs * 1_000
const settings = {
  numRuns: runs,
  interruptAfterTimeLimit: limitMs,
  seed,
  ...(path === undefined ? {} : { path }),
}

test(
  "random workflows give what the model gives, undisturbed and under a random fault",
  async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.array(fc.nat(), { minLength: 3, maxLength: 3 }), async (one, draws) => {
        const expected = await expectedOf(one)
        fc.pre(expected.chance === undefined)
        const calm = await tryOut(one)
        expect(calm.observed).toEqual(expected.observed)
        expect(calm.recomputed).toEqual([])
        if (expected.faultsTell) return
        for (const draw of draws) {
          const faults: TestFaults = disturbanceOf(calm.calls, draw)
          if (expected.stepWaits && faults.fault?.kind === "frozen") continue
          const trial = await tryOut(one, faults)
          expect(trial.observed, JSON.stringify(faults)).toEqual(expected.observed)
          expect(trial.recomputed, JSON.stringify(faults)).toEqual([])
        }
      }),
      settings,
    )
  },
  limitMs + 30_000,
)
