/** A notification whose hint was lost, and after which none comes, is found all the same (W7, P3): found by chaos with Sentinels. */
import { expect, test } from "vitest"
import type { LoadedRun, Message } from "../../src/engine/engine.ts"
import type { OwnedShard } from "../../src/pool/consumer.ts"
import { JobDesk } from "../../src/pool/job-desk.ts"
import { until } from "./support.ts"

const run = (inbox: ReadonlyArray<Message>): LoadedRun => ({
  address: "~/a",
  phase: "active",
  run: "r",
  revision: "0",
  consumed: 0,
  due: undefined,
  on: [],
  control: undefined,
  body: "",
  outcome: undefined,
  inbox,
  journal: [],
})

test("a job that waits for a notification is loaded again, one that works is not", async () => {
  const reloaded: string[] = []
  const shard = {
    shard: 0,
    abortSignal: new AbortController().signal,
    trusted: () => true,
    confirmed: () => undefined,
    nextFence: () => 1n,
    nextRevision: () => "1.1",
    commit: async () => ({ status: "ok", phase: "active", lastMessage: 1, now: 0 }),
    reload: (addresses: ReadonlyArray<string>) => void reloaded.push(...addresses),
    now: () => 0,
  } as unknown as OwnedShard
  const ignore = (): void => {}
  const desk = new JobDesk({
    maxResident: 10,
    abortGraceMs: 100,
    payloadBytes: 1_000,
    resultRetentionMs: 1_000,
    stats: new Proxy({}, { get: () => ignore }) as never,
    wantMore: ignore,
    answer: ignore as never,
    onUnsettled: ignore,
    onFault: (error) => expect.unreachable(String(error as Error)),
  })
  const loop = desk.jobs(undefined)
  const handed = loop.next()
  desk.onRuns(shard, [run([])])
  const { value: job } = await handed
  desk.proveMessages(10)
  expect(reloaded, "it does not wait").toEqual([])
  const seen: Uint8Array[] = []
  const reading = (async () => {
    for await (const bytes of job?.notifications() ?? []) if (seen.push(bytes) === 1) break
  })()
  await until(() => {
    desk.proveMessages(10)
    return reloaded.length > 0
  }, "it is loaded again")
  desk.onRuns(shard, [run([{ number: 1, kind: "signal", name: "~", id: "i", at: 0, payload: "" }])])
  await reading
  expect(seen).toHaveLength(1)
})
