import { expect, test } from "vitest"
import { Deposed } from "../../src/errors.ts"
import { Attempt } from "../../src/runtime/attempt.ts"
import type { AttemptOptions } from "../../src/runtime/attempt-options.ts"
import { LazyAbort } from "../../src/runtime/lazy-abort.ts"

test("who asks for the signal after the end of trust finds it aborted, though nobody has told the attempt (S5)", () => {
  let trusted = true
  const shard = { shard: 3, trusted: () => trusted, confirmed: () => undefined, nextFence: () => 1n, now: () => 0 }
  const options = { shard, address: "job/a", entries: [], body: {}, life: new LazyAbort(), deadlines: {}, limits: {} }
  const attempt = new Attempt(options as unknown as AttemptOptions)
  const asked = attempt.abortSignal
  expect(asked.aborted).toBe(false)

  trusted = false
  expect(asked.aborted).toBe(false)
  expect(attempt.abortSignal).toBe(asked)
  expect(asked.aborted).toBe(true)
  expect(Deposed.is(asked.reason)).toBe(true)
  expect(attempt.dead).toBe(asked.reason)
})
