import { expect, test } from "vitest"
import type { LoadedRun } from "../../src/engine/engine.ts"
import { Deposed } from "../../src/errors.ts"
import type { OwnedShard } from "../../src/pool/consumer.ts"
import { Resident, type ResidentHost } from "../../src/pool/job.ts"

const stage = () => {
  const life = { trusted: true }
  const settled: Array<Resident> = []
  const shard = { shard: 3, trusted: () => life.trusted, nextFence: () => 1n } as unknown as OwnedShard
  const host = { onSettled: (one: Resident) => settled.push(one) } as unknown as ResidentHost
  const message = { number: 1, kind: "signal", payload: "" }
  const run = { address: "pool/a", run: "r", body: "{}", consumed: 0, inbox: [message] } as unknown as LoadedRun
  const job = new Resident(host, shard, run)
  job.yielded = true
  return { life, job, settled }
}

test("a job's signal, stored before the end of trust, is aborted for whoever looks at it after, though nobody has told yet (S5)", () => {
  const { life, job, settled } = stage()
  const stored = job.abortSignal
  const heard: Array<unknown> = []
  stored.addEventListener("abort", () => heard.push(stored.reason))
  expect(stored.aborted).toBe(false)
  expect(() => stored.throwIfAborted()).not.toThrow()
  life.trusted = false
  expect(stored.aborted).toBe(true)
  expect(Deposed.is(stored.reason)).toBe(true)
  expect(heard).toEqual([stored.reason])
  expect(job.abortSignal).toBe(stored)
  job.settle()
  expect(settled).toEqual([job])
})

test("so does throwIfAborted, and it hands out no notification", async () => {
  const { life, job } = stage()
  const stored = job.abortSignal
  life.trusted = false
  expect(await job.notifications().next()).toEqual({ done: true, value: undefined })
  const second = stage()
  const other = second.job.abortSignal
  second.life.trusted = false
  expect(() => other.throwIfAborted()).toThrow(expect.objectContaining({ _tag: "Deposed" }))
  expect(stored.aborted).toBe(true)
})

test("a job that has settled is not aborted by what happens to its shard later", () => {
  const { life, job } = stage()
  const stored = job.abortSignal
  job.stop()
  const { reason } = stored
  life.trusted = false
  expect(stored.reason).toBe(reason)
})
