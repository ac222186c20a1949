/** Stores that a scenario runs on, each with what can happen to it. A store that cannot suffer something does not have its verb. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { type Node, ownNodes, ownSentinels, waitFor } from "../engine/redis-nodes.ts"
import { ownRedis } from "../engine/redis-server.ts"
import { tcpProxy, type TcpProxy } from "../pool/tcp-proxy.ts"

export interface ChaosStore {
  readonly name: string
  /** For clients, and for whoever checks: nothing stands in between. */
  readonly url: string
  /** The way of one worker. */
  connect(): Promise<{ readonly url: string; readonly proxy: TcpProxy | undefined }>
  /** Stands still: whoever asks waits. */
  readonly hang?: () => Promise<void>
  readonly unhang?: () => Promise<void>
  /** Another life of the server, with all that it acknowledged. */
  readonly restart?: () => Promise<void>
  readonly flush?: () => Promise<void>
  /** Another server takes over, with all that was acknowledged before the call. */
  readonly failover?: () => Promise<void>
  /** Which servers serve, and since which failover. */
  readonly serving?: () => Promise<string>
  /** What is acknowledged from now on is on the primary only, until another server takes over. */
  readonly strand?: () => Promise<void>
  /** A slot of the pool goes to another server. */
  readonly migrate?: (pool: string) => Promise<void>
  stop(): Promise<void>
}

export const storeNames = ["file", "redis", "cluster", "sentinel"] as const
export type StoreName = (typeof storeNames)[number]

const fileStore = async (): Promise<ChaosStore> => {
  const folder = await mkdtemp(join(tmpdir(), "ponos-chaos-"))
  const path = join(folder, "ponos.db")
  const url = `file:${path}`
  let holder: DatabaseSync | undefined
  return {
    name: "file",
    url,
    connect: async () => ({ url, proxy: undefined }),
    // Somebody has the write lock and does not let go.
    hang: async () => {
      holder = new DatabaseSync(path, { timeout: 5_000 })
      holder.exec("BEGIN IMMEDIATE")
    },
    unhang: async () => {
      holder?.exec("ROLLBACK")
      holder?.close()
      holder = undefined
    },
    stop: async () => {
      holder?.close()
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

const redisStore = async (): Promise<ChaosStore> => {
  const redis = await ownRedis({ appendonly: "yes", appendfsync: "always" })
  const proxies: TcpProxy[] = []
  return {
    name: "redis",
    url: redis.url,
    connect: async () => {
      const proxy = await tcpProxy(redis.port)
      proxies.push(proxy)
      return { url: `redis://127.0.0.1:${proxy.port}`, proxy }
    },
    hang: async () => redis.freeze(),
    unhang: async () => redis.thaw(),
    restart: async () => await redis.restart(),
    flush: async () => void (await redis.client.flushall()),
    stop: async () => {
      redis.thaw()
      await Promise.all(proxies.map((proxy) => proxy.close()))
      await redis.stop()
    },
  }
}

/** A replica refuses, and follows its primary. */
const emptied = async (node: Node): Promise<void> => {
  if (String(await node.call("INFO", "replication")).includes("role:master")) await node.call("FLUSHALL")
}

/** The prefix of keys, and with it the slot of a pool's shard, is the SDK's default. */
const clusterStore = async (): Promise<ChaosStore> => {
  const cluster = await ownNodes(3)
  const { primaries } = cluster
  const running = new Set(cluster.nodes)
  /** Ports of the primaries, as the first of them sees it: it is never killed. */
  const serving = async (): Promise<ReadonlyArray<string>> => {
    const nodes = String(await primaries[0]?.call("CLUSTER", "NODES")).split("\n")
    return nodes.flatMap((line) => (/master/.test(line) && !/fail/.test(line) ? [/:(\d+)@/.exec(line)?.[1] ?? ""] : [])).toSorted()
  }
  return {
    name: "cluster",
    url: cluster.url,
    connect: async () => ({ url: cluster.url, proxy: undefined }),
    failover: async () => {
      const victim = primaries.find((node) => running.has(node) && node !== primaries[0])
      if (victim === undefined) throw new Error("all primaries but one have been killed")
      // Asynchronous replication may lose what the replica has not got: what this scenario asks is what happens to the rest.
      await victim.call("WAIT", 1, 5_000)
      await victim.kill()
      running.delete(victim)
      // For a moment the others still take it for a primary.
      await waitFor(async () => {
        const ports = await serving()
        return ports.length === 3 && !ports.includes(String(victim.port))
      }, "a replica took over")
    },
    serving: async () => (await serving()).join(" "),
    flush: async () => void (await Promise.all([...running].map(emptied))),
    migrate: async (pool) => {
      const [first, second] = primaries
      if (first === undefined || second === undefined) return
      for (const tag of [`${pool}:0`, `${pool}:1`, pool]) {
        const slot = Number(await first.call("CLUSTER", "KEYSLOT", `{${tag}}`))
        const owner = await cluster.primaryOf(slot)
        await cluster.moveSlot(slot, owner === first ? second : first)
      }
    },
    stop: () => cluster.stop(),
  }
}

const sentinelStore = async (): Promise<ChaosStore> => {
  const sentinels = await ownSentinels()
  let stranded = false
  return {
    name: "sentinel",
    url: sentinels.url,
    connect: async () => ({ url: sentinels.url, proxy: undefined }),
    failover: async () => {
      const { primary } = sentinels
      if (!stranded) await primary.call("WAIT", 2, 5_000)
      await primary.kill()
      // Until it has a replica, another failover, which a busy machine is good for, would forget what it has acknowledged by now.
      await waitFor(
        async () => {
          const named = await sentinels.named()
          return named !== primary && /role:master[^]*state=online/.test(String(await named.call("INFO", "replication")))
        },
        "the Sentinels name another one, and a replica follows it",
        40_000,
      )
    },
    serving: async () => `${(await sentinels.named()).port}, failover ${await sentinels.epoch()}`,
    flush: async () => await emptied(await sentinels.named()),
    // They keep what they have, and follow nobody. The Sentinels would mend it, some ten seconds later.
    strand: async () => {
      const { primary, nodes } = sentinels
      await primary.call("WAIT", 2, 5_000)
      stranded = true
      await Promise.all(nodes.filter((node) => node !== primary).map((node) => node.call("REPLICAOF", "127.0.0.1", 1)))
    },
    stop: () => sentinels.stop(),
  }
}

export const openStore = (name: StoreName): Promise<ChaosStore> =>
  ({ file: fileStore, redis: redisStore, cluster: clusterStore, sentinel: sentinelStore })[name]()
