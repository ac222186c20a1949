/**
 * S5, U5 in trust.ts: what a process does when it goes on after others have taken over its jobs, by the records that the processes themselves
 * keep on the host's monotonic clock. Its user code only listens to the signal that it took out of the job, as most does.
 */
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer, type AddressInfo, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, describe, expect, test } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import { Pool } from "../../src/pool/index.ts"
import { now, Process } from "./processes.ts"
import { shards } from "./settings.ts"
import { until } from "./support.ts"

const options = { leaseMs: 500 } as const
const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`)

const closing: Array<() => unknown> = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A server to which workers connect, to be sent something. */
const feed = async (): Promise<{ readonly port: number; readonly sockets: ReadonlyArray<Socket> }> => {
  const sockets: Array<Socket> = []
  const server = createServer((socket) => void sockets.push(socket.on("error", () => undefined)))
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  closing.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}

/**
 * Whoever was stopped in the middle of code that asks for no trust goes on with what else was due then (U5, the last sentence): where that happened, the
 * try proves nothing. Without the check all tries are so.
 */
const triesMax = 5

const suite = (store: () => string): void => {
  test("a thawed process aborts its jobs before their timers and sockets run any of their code", async () => {
    for (let tries = 1; ; tries++) {
      const worked = await freezeAndThaw(store())
      if (worked.length === 0) return
      if (tries === triesMax) expect(worked).toEqual([])
      for (const close of closing.splice(0).reverse()) await close()
    }
  })

  /** What its code did after the thaw. */
  const freezeAndThaw = async (url: string): Promise<ReadonlyArray<unknown>> => {
    const name = uniqueName("thaw")
    const client = await Pool.join(name, { store: url, shards })
    closing.push(() => client.close())
    const { port, sockets } = await feed()
    const join = async (): Promise<Process> => {
      const worker = new Process(url, name, options, { PONOS_TEST_PORT: String(port) }, { program: "ticking-process.ts", quiet: true })
      await until(() => worker.session !== "", "it joined")
      return worker
    }
    const [a, b] = [await join(), await join()]
    await until(() => b.claims >= shards / 2 && a.seen("released").length === shards / 2, "they share")
    await Promise.all(keys.map((key) => client.dispatch(key, new Uint8Array())))
    await until(() => a.running().length > 0 && a.running().length + b.running().length === keys.length, "all run")
    const work = (why: string): number =>
      a.lines.filter(({ what, event }) => what === "work" && (event as { readonly why: string }).why === why).length
    for (const socket of sockets) socket.write("one")
    await until(() => work("socket") > 0, "both kinds of its code work")
    // Right behind a tick: what a process was stopped in, it goes on with.
    const ticks = work("timer")
    await until(() => work("timer") > ticks, "it has just ticked")
    a.child.kill("SIGSTOP")
    await until(() => b.running().length === keys.length, "the other runs all")
    // While it stands still: it is due with the timer.
    for (const socket of sockets) socket.write("two")
    const thawed = now()
    a.child.kill("SIGCONT")
    await until(() => a.seen("joined").length === 2, "it joins anew")
    const before = a.lines.findIndex(({ what, at }) => what === "joined" && at > thawed)
    const worked = a.lines.slice(0, before).filter(({ what, at }) => what === "work" && at > thawed)
    // What it was, and no code is blamed for it.
    expect(a.seen("suspended")).toEqual([expect.objectContaining({ what: "process" })])
    expect(a.seen("suspended")[0]?.ms).toBeGreaterThan(options.leaseMs / 2)
    expect([a.seen("loopBlocked"), a.stderr]).toEqual([[], ""])
    expect(a.lines.filter(({ what, at }) => what === "end" && at > thawed).length).toBeGreaterThan(0)
    return worked
  }
}

const folder = await mkdtemp(join(tmpdir(), "ponos-thaw-"))
afterAll(() => rm(folder, { recursive: true, force: true }))
let files = 0

describe("on a file", () => suite(() => `file:${join(folder, `pool-${++files}.db`)}`))
describeRedis("on Redis", () => suite(redisUrl))
