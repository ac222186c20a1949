import { describe, expect, test } from "vitest"
import { shared } from "../../src/index.ts"
import type { OwnedShard } from "../../src/pool/consumer.ts"
import { Effects } from "../../src/runtime/effects.ts"
import { Shares, Uses } from "../../src/runtime/shares.ts"

const owned = (shard: number): OwnedShard & { readonly abort: AbortController } => {
  const abort = new AbortController()
  return {
    shard,
    session: "s",
    epoch: 1,
    abort,
    abortSignal: abort.signal,
    trusted: () => true,
    confirmed: () => undefined,
    nextFence: () => 0n,
    nextRevision: () => "",
    commit: () => Promise.reject(new Error("not here")),
    write: () => undefined,
    reload: () => undefined,
    timeAfter: (ms: number) => ms,
    now: () => 0,
  }
}

const make = () => new Shares({ effects: new Effects(undefined), onCloseFailed: () => undefined })
const forever = new AbortController().signal
const turn = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms))

describe("what a worker has opened of its shared resources", () => {
  test("U1 a new epoch of the shard waits until that of the one before is closed", async () => {
    const log: Array<string> = []
    const db = shared({ open: (key) => (log.push(`open ${key}`), log.length), close: () => void log.push("close") })
    const shares = make()
    const [before, after] = [owned(1), owned(1)]
    const uses = new Uses()
    await shares.use(db, "acme", before, uses, forever)
    const next = shares.use(db, "acme", after, new Uses(), forever)
    await turn(5)
    expect(log).toEqual(["open acme"])
    shares.release(uses)
    await shares.close(before, new Error("moved"))
    expect(await next).toBe(3)
    expect(log).toEqual(["open acme", "close", "open acme"])
  })

  test("U2 several uses of one user are one; a use while it rests keeps it open", async () => {
    let closed = 0
    const db = shared({ open: () => 1, close: () => void closed++, idle: 20 })
    const shares = make()
    const shard = owned(1)
    for (let i = 0; i < 3; i++) {
      const uses = new Uses()
      await Promise.all([shares.use(db, "acme", shard, uses, forever), shares.use(db, "acme", shard, uses, forever)])
      shares.release(uses)
      await turn(5)
    }
    expect(closed).toBe(0)
    await turn(40)
    expect(closed).toBe(1)
  })

  test("U4 one that still opens is told, and closed when it is open", async () => {
    const log: Array<string> = []
    const opened = Promise.withResolvers<number>()
    const db = shared({
      open: (_, abortSignal) => {
        abortSignal.addEventListener("abort", () => log.push("told"))
        return opened.promise
      },
      close: () => void log.push("close"),
    })
    const shares = make()
    const shard = owned(1)
    const life = new AbortController()
    const uses = new Uses()
    const waiting = shares.use(db, "acme", shard, uses, life.signal)
    await turn()
    life.abort(new Error("moved"))
    await expect(waiting).rejects.toThrow("moved")
    shares.release(uses)
    shares.abort(shard, new Error("moved"))
    const closed = shares.close(shard, new Error("moved"))
    await turn()
    expect(log).toEqual(["told"])
    opened.resolve(1)
    await closed
    expect(log).toEqual(["told", "close"])
  })

  test("one that its user did not wait for is nobody's", async () => {
    const closing = Promise.withResolvers<void>()
    const db = shared({ open: () => 1, close: () => closing.promise, idle: 0 })
    const shares = make()
    const shard = owned(1)
    const first = new Uses()
    await shares.use(db, "acme", shard, first, forever)
    shares.release(first)
    await turn(5)
    const second = new Uses()
    const late = shares.use(db, "acme", shard, second, forever)
    shares.release(second)
    closing.resolve()
    await expect(late).rejects.toMatchObject({ _tag: "Deposed", message: expect.stringContaining("Await job.use") as string })
  })

  const mistakes: ReadonlyArray<readonly [object, string]> = [
    [{ open: "no" }, "expected open of shared to be a function, got: string"],
    [{ open: () => 1, close: 1 }, "expected close of shared to be a function, got: number"],
    [{ open: () => 1, idle: "soon" }, "expected idle of shared to be a duration"],
    [{ open: () => 1, idle: "2 days" }, "expected idle of shared to be at most a day"],
    [{ open: () => 1, idel: 5 }, "`idel` (did you mean idle?)"],
  ]
  test.each(mistakes)("refuses %j", (options, message) => {
    expect(() => shared(options as never)).toThrow(
      expect.objectContaining({ _tag: "BadOption", message: expect.stringContaining(message) as string }),
    )
  })
})
