/** How the Redis driver meets bad input, bad servers and lost connections (B3, B4). */
import { once } from "node:events"
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { BadOption, StoreFault, StoreUnavailable, StoreUnsupported } from "../../src/errors.ts"
import type { Engine, EngineOptions, Hint } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/engine/open.ts"
import { Connection } from "../../src/engine/redis/connection.ts"
import { Link } from "../../src/engine/redis/link.ts"
import { fixed } from "../../src/engine/redis/locate.ts"
import { parseRedisUrl, targetAt, type Place } from "../../src/engine/redis/url.ts"
import { freePort } from "../../../../tools/lib/own-server.ts"
import { describeOwnRedis, ownRedis, type OwnRedis } from "./redis-server.ts"
import { Heard, only } from "./world.ts"

const engines: Engine[] = []
const open = async (url: string, options: EngineOptions = {}): Promise<Engine> => {
  const engine = await openEngine(url, options)
  engines.push(engine)
  return engine
}
const failure = async (url: string | undefined, options: EngineOptions = {}): Promise<Error> =>
  await openEngine(url, options).then(
    async (engine) => {
      await engine.close()
      throw new Error("expected it to fail")
    },
    (error: Error) => error,
  )
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close()
})

const item = (address: string, run = "r1", body = "") => ({ shard: 0, address, run, body })

describe("the address of a store", () => {
  test.each([
    ["mysql://user:secret@host/db", "mysql"],
    ["redis:/127.0.0.1", "redis:/127.0.0.1"],
    ["user:secret@host", "host"],
    ["./ponos.db", "./ponos.db"],
  ])("%s is no store", async (url, named) => {
    const error = await failure(url)
    expect(BadOption.is(error)).toBe(true)
    expect(error.message).toContain("expected store to be redis://…, rediss://…, redis+sentinel://…, file:… or memory:, got: ")
    expect(error.message).toContain(named)
    expect(error.message).not.toContain("secret")
  })

  test("none at all says what to set", async () => {
    const before = process.env["PONOS_STORE"]
    delete process.env["PONOS_STORE"]
    try {
      const error = await failure(undefined)
      expect(BadOption.is(error)).toBe(true)
      expect(error.message).toMatch(/PONOS_STORE.*redis:\/\//)
      process.env["PONOS_STORE"] = "memory:"
      expect((await open(undefined as unknown as string)).driver).toBe("sqlite")
    } finally {
      if (before === undefined) delete process.env["PONOS_STORE"]
      else process.env["PONOS_STORE"] = before
    }
  })

  test.each(["redis://user:secret@host:99999", "redis://user:secret@", "redis://:secret@host/zero", "redis://:secret@host/0?tls=1"])(
    "%s is malformed, and its password stays out of the message",
    async (url) => {
      const error = await failure(url)
      expect(BadOption.is(error)).toBe(true)
      expect(error.message).toMatch(/expected/)
      expect(JSON.stringify([error.message, String(error.cause)])).not.toContain("secret")
    },
  )
})

/** A server that speaks just enough of the protocol to be mistaken for a Redis. */
async function fakeServer(answer: (command: string) => string): Promise<{ url: string; close(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.on("data", (data) => {
      for (const command of String(data).matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) socket.write(answer((command[1] ?? "").toLowerCase()))
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, "close")
    },
  }
}

describe("a server that is none", () => {
  test("nobody listens: fails within connectTimeout and names the place", async () => {
    const port = await freePort()
    const began = performance.now()
    const error = await failure(`redis://user:secret@127.0.0.1:${port}/2`, { connectTimeout: 400 })
    expect(performance.now() - began).toBeLessThan(1500)
    expect(StoreUnavailable.is(error)).toBe(true)
    expect(error.message).toContain(`redis://127.0.0.1:${port}/2 could not be reached within 400 ms`)
    expect(error.message).toMatch(/ECONNREFUSED.*Check that Redis runs there/)
    expect(error.message).not.toContain("secret")
  })

  test("a server that takes connections and says nothing", async () => {
    const silent = await fakeServer(() => "")
    const error = await failure(silent.url, { connectTimeout: 300 })
    expect(StoreUnavailable.is(error)).toBe(true)
    await silent.close()
  })

  test("a Redis of a version before 7 is refused at once", async () => {
    const info = "# Server\r\nredis_version:6.2.14\r\nrun_id:0\r\n"
    const old = await fakeServer((command) => (command === "info" ? `$${info.length}\r\n${info}\r\n` : "+OK\r\n"))
    const error = await failure(old.url)
    expect(StoreUnsupported.is(error)).toBe(true)
    expect(error.message).toMatch(/Redis 7 or newer.*got: Redis 6\.2\.14/)
    await old.close()
  })
})

describe("a call that is not answered", () => {
  test("ends its connection at its own time, whatever the others' time is, and not at that of one that was answered", async () => {
    // It answers PING, and nothing else.
    const server = await fakeServer((command) => (command === "ping" ? "+PONG\r\n" : command === "hello" ? "%0\r\n" : ""))
    const address = parseRedisUrl(server.url)
    const connection = await Connection.plain(targetAt(address, address.places[0]), 2_000)
    expect(await connection.command("ping", [], 100)).toBe("PONG")
    const began = performance.now()
    const patient = connection.command("get", ["a"], 30_000).catch((error: Error) => error)
    const hasty = connection.command("get", ["b"], 400).catch((error: Error) => error)
    expect(String(await hasty)).toContain("no answer within 400 ms")
    expect(performance.now() - began).toBeGreaterThanOrEqual(399)
    expect(await patient).toBe(await hasty)
    await server.close()
  })
})

describeOwnRedis("a server with other settings", () => {
  test("an eviction policy is warned of, once", async () => {
    const redis = await ownRedis({ "maxmemory-policy": "allkeys-lru" })
    const warnings: string[] = []
    await open(redis.url, { onWarning: (text) => warnings.push(text) })
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/maxmemory-policy allkeys-lru, expected noeviction.*CONFIG SET/)
    await redis.stop()
  })

  test("a wrong password is told apart from an absent server, and not repeated", async () => {
    const redis = await ownRedis({ requirepass: "right" })
    const at = `127.0.0.1:${redis.port}`
    for (const url of [`redis://:secret@${at}`, `redis://${at}`, `redis://nobody:secret@${at}`]) {
      const began = performance.now()
      const error = await failure(url)
      expect(performance.now() - began).toBeLessThan(2000)
      expect(BadOption.is(error), error.message).toBe(true)
      expect(error.message).toContain(`redis://${at} refused the login`)
      expect(JSON.stringify([error, error.message, error.cause])).not.toContain("secret")
    }
    const engine = await open(`redis://:right@${at}/3`)
    await engine.openPool("p", { shards: 1 })
    await redis.client.select(3)
    expect(await redis.client.keys("*")).toEqual(["p:{p}:settings"])
    expect(engine.url).toBe(`redis://${at}/3`)
    await redis.stop()
  })

  test("at maxmemory clients are refused and owners still write (B3)", async () => {
    const redis = await ownRedis()
    const engine = await open(redis.url, { callTimeout: 1500 })
    await engine.openPool("p", { shards: 1 })
    await engine.join("p", { session: "s1", record: "{}" })
    await engine.start("p", [item("kind/a")])
    await redis.client.config("SET", "maxmemory", "1")
    const error = await engine.start("p", [item("kind/b")]).catch((cause: unknown) => cause)
    expect(StoreUnavailable.is(error)).toBe(true)
    expect(String(error)).toMatch(/OOM.*maxmemory: raise it/)
    expect((await engine.renew("p", "s1")).alive).toBe(true)
    const reply = only(await engine.claim("p", [{ shard: 0, session: "s1", from: { session: "", epoch: 0 }, knownEpoch: 0 }]))
    if (reply.status !== "claimed") throw new Error("refused")
    const owner = { shard: 0, session: "s1", epoch: reply.epoch }
    const taken = only(await engine.take("p", [{ ...owner, limit: 5, timers: true }]))
    expect(taken.status === "taken" && taken.runs.map((run) => run.address)).toEqual(["kind/a"])
    expect(await engine.read("p", [item("kind/b")])).toEqual([undefined])
    await redis.stop()
  })
})

describeOwnRedis("a connection", () => {
  let redis: OwnRedis
  beforeAll(async () => {
    redis = await ownRedis()
  })
  afterAll(() => redis.stop())
  afterEach(() => redis.client.flushall())

  const kill = async () => {
    const clients = String(await redis.client.client("LIST")).split("\n")
    const ids = clients.filter((line) => line.includes(" name=ponos ")).map((line) => /id=(\d+)/.exec(line)?.[1] ?? "")
    for (const id of ids) await redis.client.client("KILL", "ID", id)
    return ids.length
  }

  test("is replaced when it is lost, and verbs in flight are repeated", async () => {
    const engine = await open(redis.url)
    await engine.openPool("p", { shards: 8 })
    const count = 400
    const starts: Promise<unknown>[] = []
    let killed = 0
    for (let n = 0; n < count; n++) {
      starts.push(engine.start("p", [{ ...item(`kind/${n}`, `r${n}`), shard: n % 8 }]))
      if (n % 100 === 50) killed += await kill()
    }
    const replies = (await Promise.all(starts)).flat()
    expect(killed).toBeGreaterThan(0)
    expect(replies).toEqual(Array.from({ length: count }, (_, n) => ({ status: "started", run: `r${n}` })))
    const sweep = await engine.sweep("p", [0, 1, 2, 3, 4, 5, 6, 7])
    expect(sweep.map((shard) => shard.ready)).toEqual(Array.from({ length: 8 }, () => count / 8))
  })

  test("calls that are sent to where a slot moves share one connection there, which ends with its link", async () => {
    const address = parseRedisUrl(redis.url)
    const [place] = address.places
    const connections = async () => String(await redis.client.client("LIST")).split(" name=ponos ").length - 1
    const link = await Link.open(fixed(targetAt(address, place as Place)), { callTimeout: 1_000, connectTimeout: 1_000 })
    const { connection } = link
    const ask = async () =>
      await link.asked({ asking: true, slot: 0, host: "", port: (place as Place).port }, connection as Connection, 1_000)
    const [one, two] = await Promise.all([ask(), ask()])
    expect(one).toBe(two)
    expect(await ask()).toBe(one)
    expect(await connections()).toBe(2)
    link.close()
    while ((await connections()) > 0) await new Promise(setImmediate)
  })

  test("gets its subscriptions back, and its owners are told to pull (W7)", async () => {
    const engine = await open(redis.url)
    await engine.openPool("p", { shards: 8 })
    const hints = new Heard<Hint>()
    const texts = new Heard<string>()
    await engine.onHint("p", 0, hints.listener)
    await engine.subscribe("p", "queries", texts.listener)
    expect(await kill()).toBe(1)
    await hints.until((all) => all.length === 1)
    expect(hints.all).toEqual([{ type: "ready", shard: 0, epoch: 0 }])
    await engine.publish("p", "queries", "again")
    await texts.until((all) => all.includes("again"))
    await engine.start("p", [item("kind/a")])
    await hints.until((all) => all.length === 2)
  })

  test("survives the loss of its scripts", async () => {
    const engine = await open(redis.url)
    await engine.openPool("p", { shards: 8 })
    await redis.client.script("FLUSH")
    expect(await engine.start("p", [item("kind/a")])).toEqual([{ status: "started", run: "r1" }])
  })

  test("to a server that stands still is given up at the deadline, and works again afterwards", async () => {
    const engine = await open(redis.url, { callTimeout: 400 })
    await engine.openPool("p", { shards: 8 })
    redis.freeze()
    const began = performance.now()
    const error = await engine.start("p", [item("kind/a")]).catch((cause: unknown) => cause)
    expect(performance.now() - began).toBeLessThan(2000)
    expect(StoreUnavailable.is(error)).toBe(true)
    expect(String(error)).toMatch(/gave no answer within 400 ms.*outcome is unknown.*repeating is safe/)
    redis.thaw()
    for (;;) {
      const reply = await engine.start("p", [item("kind/a")]).catch(() => undefined)
      if (reply) {
        expect(reply).toEqual([{ status: "started", run: "r1" }])
        break
      }
    }
  })

  test("a closed engine refuses at once, and closing ends what is in flight", async () => {
    const engine = await open(redis.url)
    await engine.openPool("p", { shards: 8 })
    redis.freeze()
    const inFlight = engine.start("p", [item("kind/a")]).catch((cause: unknown) => cause)
    await engine.close()
    await engine.close()
    redis.thaw()
    expect(StoreUnavailable.is(await inFlight)).toBe(true)
    const error = await engine.poolInfo("p").catch((cause: unknown) => cause)
    expect(StoreUnavailable.is(error)).toBe(true)
    expect(String(error)).toContain("closed")
  })

  test("a shard whose keys were damaged poisons its own group only (B1)", async () => {
    const engine = await open(redis.url)
    await engine.openPool("p", { shards: 8 })
    const claims = await engine.claim(
      "p",
      [0, 1].map((shard) => ({ shard, session: "s1", from: { session: "", epoch: 0 }, knownEpoch: 0 })),
    )
    const owners = claims.map((reply, shard) => ({ shard, session: "s1", epoch: reply.status === "claimed" ? reply.epoch : 0 }))
    await engine.start("p", [item("kind/a"), { ...item("kind/b"), shard: 1 }])
    await engine.take(
      "p",
      owners.map((owner) => ({ ...owner, limit: 1, timers: false })),
    )
    await redis.client.set("p:{p:0}:q", "damage")
    const groups = owners.map((owner, n) => ({
      ...owner,
      items: [
        {
          address: n === 0 ? "kind/a" : "kind/b",
          run: "r1",
          revision: "0",
          newRevision: "1.1",
          journalLength: 0,
          append: [],
          journal: "clear" as const,
          next: { phase: "ready" as const },
          consumed: 0,
          seen: 0,
          answers: [],
        },
      ],
    }))
    const replies = await engine.commit("p", groups)
    expect(replies.flat().map((reply) => reply.status)).toEqual(["poisoned", "ok"])
    const error = await engine.start("p", [item("kind/c"), { ...item("kind/d"), shard: 1 }]).catch((cause: unknown) => cause)
    expect(StoreFault.is(error)).toBe(true)
    expect(String(error)).toMatch(/shard 0, start: WRONGTYPE/)
    expect((await engine.read("p", [{ ...item("kind/d"), shard: 1 }]))[0]?.phase, "the others were started").toBe("ready")
  })

  test("a pool's name that would break its keys is refused", async () => {
    const engine = await open(redis.url)
    for (const pool of ["", "a:1", "a{b", "a}b", "a\nb"]) {
      const error = await engine.openPool(pool, { shards: 1 }).catch((cause: unknown) => cause)
      expect(BadOption.is(error)).toBe(true)
    }
  })
})
