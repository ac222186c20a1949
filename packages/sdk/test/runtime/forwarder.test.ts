import { expect, test } from "vitest"
import type { Engine, MessageItem } from "../../src/engine/engine.ts"
import type { ForwardGroup, OutboxEntry } from "../../src/engine/links.ts"
import { defaults } from "../../src/options.ts"
import type { OwnedShard } from "../../src/pool/consumer.ts"
import { Forwarder } from "../../src/runtime/forwarder.ts"
import { printLink } from "../../src/runtime/link.ts"
import { until } from "./fixture.ts"

test("an outbox with entries for a server that does not answer: the others leave it, and those when it answers", async () => {
  const broken = (shard: number): boolean => shard % 2 === 1
  const outbox = new Map<string, OutboxEntry>()
  for (let n = 0; n < 40; n++) {
    const link = printLink({ do: "tell", to: `kind/waiter-${n}`, shard: n, run: "waiter", name: "child" })
    outbox.set(`run-${n}`, { address: `kind/child-${n}`, run: `run-${n}`, link, outcome: "done" })
  }
  const { promise: healed, resolve: heal } = Promise.withResolvers<void>()
  const told: number[] = []
  const engine = {
    spansShards: false,
    serverOf: (_pool: string, shard: number) => (broken(shard) ? "broken" : "living"),
    forward: async (_pool: string, groups: ReadonlyArray<ForwardGroup>) =>
      groups.map(({ sent, limit }) => {
        for (const { run } of sent) outbox.delete(run)
        const entries = [...outbox.values()].toSorted(() => Math.random() - 0.5).slice(0, limit)
        return { status: "forwarded" as const, entries }
      }),
    message: async (_pool: string, items: ReadonlyArray<MessageItem>) => {
      for (const { shard } of items) {
        if (broken(shard)) await healed
        told.push(shard)
      }
      return items.map(() => ({ status: "accepted" as const, run: "waiter", number: 1, answer: undefined }))
    },
  }
  const events: unknown[] = []
  const forwarder = new Forwarder({
    engine: engine as unknown as Engine,
    pool: "pool",
    limits: defaults,
    onEvent: (event) => events.push(event),
  })
  const shard = { shard: 0, session: "session", epoch: 1, trusted: () => true } as unknown as OwnedShard
  // As the sweep does while something is there.
  await until(() => {
    forwarder.send(shard)
    return outbox.size === 20
  }, "the others have left")
  expect(told.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => 2 * n))
  heal()
  await until(() => {
    if (outbox.size > 0) forwarder.send(shard)
    return outbox.size === 0 && !forwarder.busy
  }, "the rest has left")
  expect(events).toEqual([])
})
