/**
 * The Redis of the test run, found once for all test files, in this order:
 *
 * 1. `PONOS_TEST_REDIS=redis://…`: that server. `PONOS_TEST_REDIS=skip`: none, and the tests that need one are skipped.
 * 2. a container, where a Docker engine answers (having the `docker` command proves nothing)
 * 3. `redis-server` on the PATH, on a free port with a directory of its own
 * 4. as root on a machine with apt: installed, and then as in 3
 */
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtemp } from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { TestProject } from "vitest/node"
import { installRedis } from "./install-redis.ts"
import { freePort, startContainer as startOwnContainer, startGuarded, type OwnServer } from "./lib/own-server.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** The address of the Redis of this run; undefined when it was skipped by PONOS_TEST_REDIS=skip. */
    redisUrl: string | undefined
    /** Id of this run: part of every name that its tests make. */
    testRun: string
  }
}

const image = "redis:8-alpine"
const guard = fileURLToPath(new URL("lib/redis-guard.mjs", import.meta.url))
const startTimeoutMs = 10_000
const replyTimeoutMs = 2_000

export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const asked = process.env["PONOS_TEST_REDIS"]
  const run = randomBytes(4).toString("hex")
  project.provide("testRun", run)
  if (asked === "skip") {
    project.provide("redisUrl", undefined)
    return undefined
  }
  const server = asked ? await named(asked) : await startRedis()
  console.error(`• Redis for the tests: ${server.from}`)
  project.provide("redisUrl", server.url)
  return async () => {
    // a server of our own ends with its keys; on one that was named, they are removed
    if (asked) await removeKeys(server.url, run)
    await server.stop()
  }
}

/** Removes what the run's tests left: pools have no end of their own. */
async function removeKeys(url: string, run: string): Promise<void> {
  const { Redis } = await import("ioredis")
  const redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 1 })
  try {
    await redis.connect()
    for await (const keys of redis.scanStream({ match: `*-${run}-*`, count: 1_000 }) as AsyncIterable<string[]>)
      if (keys.length > 0) await redis.unlink(...keys)
  } finally {
    redis.disconnect()
  }
}

async function named(url: string): Promise<OwnServer> {
  if (!/^rediss?:\/\//.test(url))
    throw new Error(`expected PONOS_TEST_REDIS to be an address as in redis://127.0.0.1:6379, or "skip", got: "${url}"`)
  const { hostname, port } = new URL(url)
  if (!(await replies(hostname, Number(port || 6379), url.startsWith("redis:"))))
    throw new Error(
      `PONOS_TEST_REDIS names ${hostname}:${port || 6379}, and nothing answers there: start that Redis, or unset PONOS_TEST_REDIS to have one started`,
    )
  return { url, from: "PONOS_TEST_REDIS", stop: async () => {} }
}

/** Starts a Redis by the first way that this machine has. A bench prefers the binary: a container's network costs time. */
export async function startRedis(prefer: "container" | "binary" = "container"): Promise<OwnServer> {
  const container = prefer === "binary" && (await hasBinary()) ? undefined : await startContainer()
  if (container) return container
  if (await hasBinary()) return await startBinary("redis-server on the PATH")
  const installed = await installRedis()
  if (installed.ok && (await hasBinary())) return await startBinary("redis-server, installed by apt")
  throw new Error(
    "the tests need a Redis 7 or newer and found none: no Docker engine answers, redis-server is not on the PATH, " +
      `and installing it did not work (${installed.ok ? "apt installed no redis-server" : installed.why}). ` +
      "Install redis-server (`apt-get install redis-server`, `brew install redis`), start Docker, or set " +
      "PONOS_TEST_REDIS=redis://host:port; PONOS_TEST_REDIS=skip runs the rest without it.",
  )
}

async function startContainer(): Promise<OwnServer | undefined> {
  const started = await startOwnContainer(image, "redis-server", async () => {
    const { RedisContainer } = await import("@testcontainers/redis")
    return await new RedisContainer(image).start()
  })
  return started && { url: started.container.getConnectionUrl(), from: started.from, stop: started.stop }
}

async function hasBinary(): Promise<boolean> {
  return await promisify(execFile)("redis-server", ["--version"]).then(
    () => true,
    () => false,
  )
}

async function startBinary(from: string): Promise<OwnServer> {
  const port = await freePort()
  const directory = await mkdtemp(join(tmpdir(), "ponos-test-redis-"))
  const options = { port: `${port}`, bind: "127.0.0.1", dir: directory, save: "", appendonly: "no", "maxmemory-policy": "noeviction" }
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
  const ready = async (): Promise<boolean> => await replies("127.0.0.1", port)
  const { stop, log } = await startGuarded({ guard, args: [directory, ...args], withinMs: startTimeoutMs, ready })
  if (log !== undefined) throw new Error(`redis-server did not start on port ${port}:\n${log}`)
  return { url: `redis://127.0.0.1:${port}`, from, stop }
}

/** True when a server is there. Any reply to PING will do: one that asks for a password is a Redis too. TLS is only connected to. */
function replies(host: string, port: number, ping = true): Promise<boolean> {
  return new Promise((done) => {
    const end = (result: boolean) => {
      socket.destroy()
      done(result)
    }
    const socket = connect(port, host, () => (ping ? socket.write("PING\r\n") : end(true)))
    socket.on("data", (data) => end(/^[+-]/.test(String(data)) && !String(data).startsWith("-LOADING")))
    socket.on("error", () => end(false))
    socket.setTimeout(replyTimeoutMs, () => end(false))
  })
}
