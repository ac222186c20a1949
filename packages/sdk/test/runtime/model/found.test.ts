/** What random workflows have found, each in its shortest form. */
import { describe, expect, test } from "vitest"
import type { TestFaults } from "../../../src/testing/index.ts"
import { createTestEnv } from "../../../src/testing/index.ts"
import { makeClient } from "../../../src/gen.ts"
import { retry } from "../../../src/define/index.ts"
import { contract, stub } from "../fixture.ts"
import { expectedOf } from "./model.ts"
import type { Action, Case, Node } from "./program.ts"
import { tryOut } from "./trial.ts"

const seq = (...nodes: ReadonlyArray<Node>): Node => ({ op: "seq", nodes })
const sleep = (ms: number): Node => ({ op: "sleep", ms })
const step: Node = { op: "step", fails: 0, tries: 1, deferred: false }
const caseOf = (body: Node, script: ReadonlyArray<Action> = []): Case => ({
  program: { timeout: {}, iterations: [{ body, again: {} }] },
  script,
})
const died = (kind: "before" | "after", at: number): TestFaults => ({ fault: { verb: "write", at, kind } })

const holds = async (one: Case, ...faults: ReadonlyArray<TestFaults>): Promise<void> => {
  const { observed, chance } = await expectedOf(one)
  expect(chance).toBeUndefined()
  for (const fault of faults) expect((await tryOut(one, fault)).observed, JSON.stringify(fault)).toEqual(observed)
}

describe("found by random workflows", () => {
  test("the next try of a step comes when the test's clock says", () =>
    holds(caseOf({ op: "step", fails: 1, tries: 2, deferred: false }), {}))

  test("a branch that goes on after a poll makes its next call before what is recorded for another branch is delivered", () =>
    holds(
      caseOf(seq(step, { op: "all", nodes: [seq(sleep(10), step), seq({ op: "poll", name: "note" }, sleep(100))] })),
      ...[2, 3, 4, 5, 6].map((at) => died("before", at)),
    ))

  test("a cancel finds the handler of the attempt after a back-off, though its worker died: it cleans up", () =>
    holds(
      caseOf(
        seq(
          sleep(1),
          { op: "flaky", until: 1, how: "throw" },
          { op: "finally", node: { op: "receive", name: "stop" }, clean: seq(sleep(10), step) },
        ),
        [{ do: "cancel", gap: 1_000 }],
      ),
      ...[3, 4, 5, 6].flatMap((at) => [died("before", at), died("after", at)]),
    ))

  test("a signal whose hint is lost reaches a handler that waits for it", () =>
    holds(caseOf({ op: "receive", name: "stop" }, [{ do: "stop", gap: 5 }]), { hints: "lost" }))

  test("the body of a step that an iteration left between two tries runs no more", async () => {
    let ran = 0
    const env = await createTestEnv({
      jobs: [
        stub.implement({
          init: () => ({ count: 0, log: [] }),
          run: async (job: any) => {
            const fails = (): never => {
              ran++
              throw new Error("again")
            }
            await Promise.race([job.step("left", fails, { retry: retry.fixed({ every: 20, attempts: 9 }) }), job.step("won", () => 1)])
            return job.done("won")
          },
        } as never),
      ],
    })
    try {
      const handle = await makeClient(env, { sample: contract }).sample.start({ id: "left" })
      await env.settle()
      expect(await handle.result()).toBe("won")
      await env.advance(100)
      // its timer is one of this process
      await new Promise((resolve) => setTimeout(resolve, 50))
      await env.advance(100)
      expect(ran).toBe(1)
    } finally {
      await env.close()
    }
  })
})
