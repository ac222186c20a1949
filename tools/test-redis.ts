/**
 * The Redis of the test run, found once for all test files, in this order:
 *
 * 1. `PONOS_TEST_REDIS=redis://…`: that server. `PONOS_TEST_REDIS=skip`: none, and the tests that need one are skipped.
 * 2. a container, where a Docker engine answers (having the `docker` command proves nothing)
 * 3. `redis-server` on the PATH, on a free port with a directory of its own
 * 4. as root on a machine with apt: installed, and then as in 3
 */
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { connect, createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { promisify } from "node:util"
import type { TestProject } from "vitest/node"
import { installRedis } from "./install-redis.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** The address of the Redis of this run; undefined when it was skipped by PONOS_TEST_REDIS=skip. */
    redisUrl: string | undefined
  }
}

type Server = { readonly url: string; readonly from: string; readonly stop: () => Promise<void> }

const image = "redis:8-alpine"
const startTimeoutMs = 10_000
const stopTimeoutMs = 5_000

export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const asked = process.env["PONOS_TEST_REDIS"]
  if (asked === "skip") {
    project.provide("redisUrl", undefined)
    return undefined
  }
  const server = asked ? await named(asked) : await startRedis()
  console.error(`• Redis for the tests: ${server.from}`)
  project.provide("redisUrl", server.url)
  return server.stop
}

async function named(url: string): Promise<Server> {
  if (!/^rediss?:\/\//.test(url))
    throw new Error(`expected PONOS_TEST_REDIS to be an address as in redis://127.0.0.1:6379, or "skip", got: "${url}"`)
  return { url, from: "PONOS_TEST_REDIS", stop: async () => {} }
}

/** Starts a Redis by the first way that this machine has. */
export async function startRedis(): Promise<Server> {
  const container = await startContainer()
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

async function startContainer(): Promise<Server | undefined> {
  const { getContainerRuntimeClient } = await import("testcontainers")
  const engine = await getContainerRuntimeClient().catch(() => undefined)
  if (!engine) return undefined
  try {
    const { RedisContainer } = await import("@testcontainers/redis")
    const container = await new RedisContainer(image).start()
    return {
      url: container.getConnectionUrl(),
      from: `container ${image}`,
      stop: async () => {
        await container.stop()
      },
    }
  } catch (error) {
    console.error(
      `• Docker answers but ${image} did not start (${error instanceof Error ? error.message : String(error)}); trying redis-server`,
    )
    return undefined
  }
}

async function hasBinary(): Promise<boolean> {
  return await promisify(execFile)("redis-server", ["--version"]).then(
    () => true,
    () => false,
  )
}

async function startBinary(from: string): Promise<Server> {
  const port = await freePort()
  const directory = await mkdtemp(join(tmpdir(), "ponos-test-redis-"))
  const options = { port: `${port}`, bind: "127.0.0.1", dir: directory, save: "", appendonly: "no", "maxmemory-policy": "noeviction" }
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
  const server = spawn("redis-server", args, { stdio: ["ignore", "pipe", "inherit"] })
  let log = ""
  server.stdout.on("data", (data) => (log = (log + String(data)).slice(-4_000)))
  const exited = once(server, "exit")
  exited.catch(() => {})
  // The run may end without its teardown (Ctrl-C, a failed set-up of another file): the server must not outlive it.
  const killOnExit = () => server.kill("SIGKILL")
  process.on("exit", killOnExit)
  const stop = async () => {
    process.off("exit", killOnExit)
    server.kill("SIGTERM")
    await Promise.race([exited, delay(stopTimeoutMs, undefined, { ref: false })])
    server.kill("SIGKILL")
    await rm(directory, { recursive: true, force: true })
  }
  const deadline = performance.now() + startTimeoutMs
  while (!(await answers(port))) {
    if (server.exitCode !== null || performance.now() > deadline) {
      await stop()
      throw new Error(`redis-server did not start on port ${port}:\n${log}`)
    }
    await delay(20)
  }
  return { url: `redis://127.0.0.1:${port}`, from, stop }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}

function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"))
    const end = (result: boolean) => {
      socket.destroy()
      done(result)
    }
    socket.on("data", (data) => end(String(data).startsWith("+PONG")))
    socket.on("error", () => end(false))
    socket.setTimeout(1_000, () => end(false))
  })
}
