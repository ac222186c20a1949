/** A redis-server of a test's own, where the machine has the binary: with other settings, to be frozen, or as a cluster of one. */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { Redis } from "ioredis"
import { describe } from "vitest"
import { freePort } from "../../../../tools/lib/own-server.ts"

const present = spawnSync("redis-server", ["--version"]).status === 0

/** As `describe`; skipped, with the reason in its name, where there is no redis-server to start. */
export function describeOwnRedis(name: string, body: () => void): void {
  if (present) describe(name, body)
  else describe.skip(`${name} (no redis-server on the PATH)`, body)
}

export interface OwnRedis {
  readonly port: number
  readonly url: string
  /** For the test's own commands. */
  readonly client: Redis
  /** SIGSTOP: the server stands still, its connections stay open. */
  freeze(): void
  thaw(): void
  /** Another life of the server on the same port, with what it has saved; it was down for at least `ms`. */
  restart(ms?: number): Promise<void>
  stop(): Promise<void>
}

export async function ownRedis(settings: Readonly<Record<string, string>> = {}): Promise<OwnRedis> {
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), "ponos-redis-"))
  const options = {
    port: `${port}`,
    bind: "127.0.0.1",
    dir: folder,
    save: "",
    appendonly: "no",
    "maxmemory-policy": "noeviction",
    ...settings,
  }
  const start = () =>
    spawn(
      "redis-server",
      Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
      { stdio: "ignore" },
    )
  let server = start()
  const kill = () => server.kill("SIGKILL")
  process.on("exit", kill)
  const client = new Redis({
    port,
    ...(settings["requirepass"] === undefined ? {} : { password: settings["requirepass"] }),
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
  })
  client.on("error", () => {})
  await client.ping()
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    client,
    freeze: () => void server.kill("SIGSTOP"),
    thaw: () => void server.kill("SIGCONT"),
    restart: async (ms = 0) => {
      const exited = once(server, "exit")
      server.kill("SIGTERM")
      await exited
      await delay(ms)
      server = start()
      await client.ping()
    },
    stop: async () => {
      client.disconnect()
      const exited = once(server, "exit")
      kill()
      await exited
      process.off("exit", kill)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A cluster with one server that has all slots. */
export async function ownCluster(settings: Readonly<Record<string, string>> = {}): Promise<OwnRedis> {
  const redis = await ownRedis({
    "cluster-enabled": "yes",
    "cluster-announce-ip": "127.0.0.1",
    // The default is 10,000 above the port, where there may be none.
    "cluster-port": `${await freePort()}`,
    ...settings,
  })
  await redis.client.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
  while (!String(await redis.client.call("CLUSTER", "INFO")).includes("cluster_state:ok")) await delay(20)
  return redis
}
