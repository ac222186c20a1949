/** A worker dies, or a reply is lost, at every write of every workflow: what comes out is what comes out of an undisturbed run. */
import { randomUUID } from "node:crypto"
import { describe, expect, test } from "vitest"
import { describeRedis, redisUrl } from "../../../../tools/with-redis.ts"
import type { Disturbance, Trial } from "./crash.ts"
import { inParallel, tryOut } from "./crash.ts"
import type { Fault, Hints } from "../../src/testing/faults.ts"
import type { Workflow } from "./world.ts"
import { workflows } from "./workflows.ts"

const disturbances = ({ writes, takes, claims }: Trial, every: number, kills: boolean): ReadonlyArray<Disturbance> => {
  const kinds = kills ? (["before", "after", "repeat"] as const) : (["repeat"] as const)
  const faults: Array<Fault> = []
  for (const kind of kinds) for (let at = 0; at < writes; at += every) faults.push({ verb: "write", at, kind })
  for (let at = 0; at < takes; at += every) faults.push({ verb: "take", at, kind: "lost" })
  for (let at = 0; at < claims; at++) faults.push({ verb: "claim", at, kind: "lost" })
  const hints: ReadonlyArray<Hints> = ["lost", "doubled", "late"]
  const deaths = faults.filter(({ kind }) => kind === "before" || kind === "after")
  return [
    ...hints.map((kind) => ({ hints: kind })),
    { repeatClient: true },
    ...faults.map((fault) => ({ fault })),
    { parking: true },
    // a repeated write must be the same text, though each encryption gives another
    ...faults.filter(({ kind }) => kind === "repeat").map((fault) => ({ fault, codecs: true })),
    ...deaths.map((fault) => ({ fault, parking: true })),
  ]
}

interface SuiteOptions {
  readonly store: () => string
  /** Every n-th write. */
  readonly every: number
  readonly kills: (workflow: Workflow) => boolean
}

const suite = ({ store, every, kills }: SuiteOptions): void => {
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
            if (trial.killed) killed++
          }),
        )
        // calls that happen to travel together make one write of two, so that the last faults may find nothing to hit
        const deaths = planned.filter(({ fault }) => fault?.kind === "before" || fault?.kind === "after").length
        expect(killed).toBeGreaterThanOrEqual(deaths * 0.75)
      },
      120_000,
    )
  }
}

describe("a crash at any write, on memory", () => suite({ store: () => `memory:${randomUUID()}`, every: 1, kills: () => true }))

// A BullMQ worker of this process does not die with the pool's member: deaths under activities on Redis belong to tests with processes.
describeRedis("a crash at every third write, on Redis", () =>
  suite({ store: redisUrl, every: 3, kills: (workflow) => workflow.activities === undefined }),
)
