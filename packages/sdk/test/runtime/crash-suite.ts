/** A worker dies, or a reply is lost, at every write of every workflow: what comes out is what comes out of an undisturbed run. */
import { expect, test } from "vitest"
import type { Fault, Hints } from "../../src/testing/faults.ts"
import type { Disturbance, Trial } from "./crash.ts"
import { inParallel, tryOut } from "./crash.ts"
import type { Workflow } from "./world.ts"

const isDeath = ({ fault }: Disturbance): boolean => fault?.kind === "before" || fault?.kind === "after"

const disturbances = ({ writes, takes, claims }: Trial, every: number, kills: boolean): ReadonlyArray<Disturbance> => {
  const kinds = kills ? (["before", "after", "repeat"] as const) : (["repeat"] as const)
  const faults: Array<Fault> = []
  for (const kind of kinds) for (let at = 0; at < writes; at += every) faults.push({ verb: "write", at, kind })
  for (let at = 0; at < takes; at += every) faults.push({ verb: "take", at, kind: "lost" })
  for (let at = 0; at < claims; at++) faults.push({ verb: "claim", at, kind: "lost" })
  const hints: ReadonlyArray<Hints> = ["lost", "doubled", "late"]
  const strikes = faults.map((fault) => ({ fault }))
  return [
    ...hints.map((kind) => ({ hints: kind })),
    { repeatClient: true },
    ...strikes,
    { parking: true },
    // a repeated write must be the same text, though each encryption gives another; deaths beside codecs and interceptors
    ...strikes.filter((one, n) => !isDeath(one) || n % 4 === 0).map((one) => ({ ...one, codecs: true })),
    ...strikes.filter(isDeath).map((one) => ({ ...one, parking: true })),
  ]
}

/** Side effects: as often as undisturbed; where the worker died, what it was at may be had once more. */
const expectEffects = ({ ran }: Trial, calm: Trial, died: boolean, what: string): void => {
  if (!died) return expect(ran, what).toEqual(calm.ran)
  expect(Object.keys(ran), what).toEqual(Object.keys(calm.ran))
  for (const [id, times = 0] of Object.entries(calm.ran)) {
    expect(ran[id], `${id} under ${what}`).toBeGreaterThanOrEqual(times)
    expect(ran[id], `${id} under ${what}`).toBeLessThanOrEqual(times + 1)
  }
}

interface SuiteOptions {
  readonly store: () => string
  /** Every n-th write. */
  readonly every: number
  readonly kills: (workflow: Workflow) => boolean
}

export const crashSuite = (workflows: ReadonlyArray<Workflow>, { store, every, kills }: SuiteOptions): void => {
  for (const workflow of workflows) {
    test(
      workflow.name,
      async () => {
        const calm = await tryOut(store(), workflow, {})
        expect(calm.recomputed).toEqual([])
        if (workflow.result !== undefined) expect(calm.observed.outcome).toBe(workflow.result)
        const planned = disturbances(calm, every, kills(workflow))
        let killed = 0
        await inParallel(
          8,
          planned.map((disturbance) => async () => {
            const what = JSON.stringify(disturbance)
            const trial = await tryOut(store(), workflow, disturbance)
            expect(trial.observed, what).toEqual(calm.observed)
            expect(trial.recomputed, what).toEqual([])
            expectEffects(trial, calm, isDeath(disturbance), what)
            if (disturbance.codecs === true) expect(trial.headers, what).toEqual(['{"trace":"t1"}'])
            if (trial.killed) killed++
          }),
        )
        // calls that happen to travel together make one write of two, so that the last faults may find nothing to hit
        expect(killed).toBeGreaterThanOrEqual(planned.filter(isDeath).length * 0.75)
      },
      120_000,
    )
  }
}
