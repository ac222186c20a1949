/** Stores that a scenario runs on, each with what can happen to it. A store that cannot suffer something does not have its verb. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { ownRedis } from "../engine/redis-server.ts"
import { clusterStore } from "./cluster-store.ts"
import { sentinelStore } from "./sentinel-store.ts"
import type { Servers } from "./ways.ts"

/** What became of a failover. */
export interface Takeover {
  /** That the servers made more than one of it, on a busy machine: then what was acknowledged in between may be lost. */
  readonly disturbed?: string | undefined
  /** Lets the old primary go on, and resolves when it follows the new one. */
  thaw(): Promise<void>
}

export interface ChaosStore {
  readonly name: string
  readonly url: string
  /** To which workers can have ways (ways.ts). */
  readonly servers?: Servers
  /** Stands still: whoever asks waits. */
  readonly hang?: () => Promise<void>
  readonly unhang?: () => Promise<void>
  /** Another life of all its servers, with all that they acknowledged; nobody takes over. */
  readonly restart?: () => Promise<void>
  readonly flush?: () => Promise<void>
  /** A primary is killed or stands still, and another server takes over, with all that was acknowledged, also meanwhile. */
  readonly failover?: (of: "killed" | "hanging") => Promise<Takeover>
  /** Which servers serve, and since which failover. */
  readonly serving?: () => Promise<string>
  /**
   * Of shards, by their hash tags: what is acknowledged from now on is on one primary only, whose replica takes over at the next failover. Tells whether
   * that has a shard.
   */
  readonly strand?: (tags: ReadonlyArray<string>) => Promise<(tag: string) => boolean>
  /** A slot of the pool goes to another server. */
  readonly migrate?: (pool: string) => Promise<void>
  stop(): Promise<void>
}

export const storeNames = ["file", "redis", "cluster", "sentinel"] as const
export type StoreName = (typeof storeNames)[number]

const fileStore = async (): Promise<ChaosStore> => {
  const folder = await mkdtemp(join(tmpdir(), "ponos-chaos-"))
  const path = join(folder, "ponos.db")
  let holder: DatabaseSync | undefined
  return {
    name: "file",
    url: `file:${path}`,
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
  return {
    name: "redis",
    url: redis.url,
    servers: { data: [redis.port], sentinels: [] },
    hang: async () => redis.freeze(),
    unhang: async () => redis.thaw(),
    restart: async () => await redis.restart(),
    flush: async () => void (await redis.client.flushall()),
    stop: async () => {
      redis.thaw()
      await redis.stop()
    },
  }
}

export const openStore = (name: StoreName): Promise<ChaosStore> =>
  ({ file: fileStore, redis: redisStore, cluster: clusterStore, sentinel: sentinelStore })[name]()
