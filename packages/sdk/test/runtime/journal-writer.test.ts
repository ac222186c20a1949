import { expect, test } from "vitest"
import type { CommitSource } from "../../src/pool/consumer.ts"
import { Inbox } from "../../src/runtime/inbox.ts"
import { JournalWriter, type JournalWriterHost } from "../../src/runtime/journal-writer.ts"

const make = (over: () => boolean, limit = 100) => {
  const asked: Array<CommitSource> = []
  const died: Array<Error> = []
  const host = {
    shard: { write: (source: CommitSource) => void asked.push(source) },
    options: { address: "job/a", run: "r", revision: "1", entries: [], limits: { journalLimit: limit }, inbox: new Inbox(0, []) },
    get dead() {
      return over() ? new Error("over") : undefined
    },
    beginning: () => ({ b: 0 }),
    written: () => undefined,
    die: (reason: Error) => void died.push(reason),
  }
  return { writer: new JournalWriter(host as unknown as JournalWriterHost), asked, died }
}
const reply = { status: "ok", phase: "active", lastMessage: 0, now: 0 } as const
const step = (c: number) => ({ t: "step", c, n: "s", v: c }) as const

test("entries that come while a write is under way go with the next one, and whoever waits for all is told then", async () => {
  const { writer, asked, died } = make(() => false)
  writer.write(step(0))
  writer.write(step(1))
  expect(asked).toHaveLength(1)
  expect(writer.item()?.append).toHaveLength(2)
  writer.write(step(2))
  const all = writer.flushing
  writer.committed(reply)
  expect(asked).toHaveLength(2)
  expect(writer.item()).toMatchObject({ journalLength: 2, append: [JSON.stringify(step(2))] })
  writer.committed(reply)
  await all
  expect([writer.busy, writer.length, died.length]).toEqual([false, 3, 0])
})

test("what follows a refused write is dropped, also where the attempt has ended and does not die of it", async () => {
  const { writer, asked, died } = make(() => false)
  writer.write(step(0))
  writer.item()
  writer.write(step(1))
  const all = writer.flushing
  writer.refused(new Error("no longer mine"))
  await all
  expect([asked.length, died.length, writer.busy]).toEqual([1, 1, false])
  expect(writer.item()).toBeUndefined()
})

test("an attempt that is over by the time of its call writes nothing", () => {
  let over = false
  const { writer, asked } = make(() => over)
  writer.write(step(0))
  over = true
  expect(writer.item()).toBeUndefined()
  expect([asked.length, writer.busy]).toEqual([1, false])
})

test("a long list of entries goes in parts, and who waits for one of them is told with the last", () => {
  const { writer, asked } = make(() => false)
  const told = { acknowledged: false }
  for (let n = 0; n < 90; n++) writer.add(step(n))
  writer.write(step(90), told)
  expect(writer.item()?.append).toHaveLength(91)
  writer.committed(reply)
  expect(told.acknowledged).toBe(true)

  const { writer: long, asked: askedLong } = make(() => false, 10_000)
  const late = { acknowledged: false }
  for (let n = 0; n < 1_500; n++) long.add(step(n))
  long.write(step(1_500), late)
  expect(long.item()?.append).toHaveLength(1_000)
  long.committed(reply)
  expect(late.acknowledged).toBe(false)
  expect(long.item()).toMatchObject({ journalLength: 1_000, append: { length: 501 } })
  long.committed(reply)
  expect([late.acknowledged, long.length, asked.length, askedLong.length]).toEqual([true, 1_501, 1, 2])
})
