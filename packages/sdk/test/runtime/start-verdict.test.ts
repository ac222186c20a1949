import { describe, expect, test } from "vitest"
import type { StartReply } from "../../src/engine/engine.ts"
import { judgeStart } from "../../src/runtime/start-verdict.ts"

const judge = (status: StartReply["status"], ifRunning?: "join" | "reject" | "replace", signal?: StartReply["signal"]) => {
  const verdict = judgeStart({ status, run: "r", signal }, "sample/a", ifRunning, 9)
  return verdict.do === "refuse" ? `refuse ${verdict.tag}` : "run" in verdict ? `${verdict.do} ${verdict.run}` : verdict.do
}

describe("how a start meets the run that has its key", () => {
  test.each([
    ["started", undefined, "give r"],
    ["started", "reject", "give r"],
    ["started", "replace", "give r"],
    ["running", undefined, "give r"],
    ["running", "join", "give r"],
    ["running", "reject", "refuse RunExists"],
    ["running", "replace", "replace r"],
    ["ended", undefined, "refuse RunEnded"],
    ["ended", "replace", "refuse RunEnded"],
    ["fenced", undefined, "stop"],
    ["forbidden", "replace", "stop"],
  ] as const)("%s, %s: %s", (status, ifRunning, verdict) => {
    expect(judge(status, ifRunning)).toBe(verdict)
  })

  test("a signal that found no room is refused, unless another one replaces the run anyway", () => {
    expect(judge("running", "join", "full")).toBe("refuse InboxFull")
    expect(judge("running", "replace", "full")).toBe("replace r")
    expect(judge("running", "join", "accepted")).toBe("give r")
  })
})
