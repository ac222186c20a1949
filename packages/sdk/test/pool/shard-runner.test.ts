import { expect, test } from "vitest"
import { Deposed } from "../../src/errors.ts"
import { ShardRunner } from "../../src/pool/shard-runner.ts"

const runner = (epoch: number, exhausted: () => void = () => {}): ShardRunner =>
  new ShardRunner(
    {
      session: "s",
      trusted: () => true,
      confirmed: () => undefined,
      storeNow: () => 0,
      storeLatest: () => 0,
      write: () => {},
      need: () => {},
      exhausted,
    },
    3,
    epoch,
  )

test("fences grow within an epoch, stay below those of the next, and fit into 63 bits (O2)", () => {
  // The year 2093: 2^41 ms, about 69.7 years, are what 63 bits leave room for.
  const epoch = 69 * 365 * 86_400_000
  let exhausted = 0
  const one = runner(epoch, () => exhausted++)
  const first = one.nextFence()
  expect(first).toBe(BigInt(epoch) * 2n ** 22n)
  let last = first
  let grew = true
  for (let i = 1; i < 2 ** 22; i++) {
    const next = one.nextFence()
    grew &&= next === last + 1n
    last = next
  }
  expect(grew).toBe(true)
  expect(last).toBeLessThan(runner(epoch + 1).nextFence())
  expect(last).toBeLessThan(2n ** 63n)
  // Asks for a new epoch in time, and refuses to give a fence of the next one.
  expect(exhausted).toBe(1)
  expect(() => one.nextFence()).toThrow("all fences of its epoch are given")
})

test("revisions are never used twice, also not by the next epoch", () => {
  const seen = new Set<string>()
  for (const one of [runner(35), runner(36), runner(1_296)]) for (let i = 0; i < 2_000; i++) seen.add(one.nextRevision())
  expect(seen.size).toBe(6_000)
})

test("its abortSignal says why, and it is trusted until it is closed", () => {
  const one = runner(7)
  one.abort("drain")
  expect(Deposed.is(one.abortSignal.reason)).toBe(true)
  expect(String(one.abortSignal.reason)).toContain("this worker drains")
  expect(one.trusted()).toBe(true)
  one.close()
  expect(one.trusted()).toBe(false)
})
