/** What answers at an address: one server, the primary that Sentinels name, or a cluster; and the connections by which it sees a session. */
import { BadOption } from "../../errors.ts"
import { Cluster } from "./cluster.ts"
import { Link, type LinkOptions } from "./link.ts"
import { Lives } from "./lives.ts"
import { anyOf, fixed, type Locator, sentinelPrimary } from "./locate.ts"
import type { Caller, Servers } from "./servers.ts"
import { single } from "./servers.ts"
import { type Address, targetAt } from "./url.ts"

/** Of one pool: all is on the server that has the pool's own slot. */
export interface PoolServer {
  /** For members, assignment and settings. */
  readonly data: Caller
  readonly lives: Lives
}

export interface Deployment {
  readonly servers: Servers
  /** The pool's, once a session of this process was registered there; before it, and in a client, undefined on a cluster. */
  at(pool: string): PoolServer | undefined
  register(pool: string): Promise<PoolServer>
  close(): void
}

function ofOne(link: Link, locator: Locator, options: LinkOptions, onClose: () => void = () => {}): Deployment {
  const one: PoolServer = { data: link, lives: new Lives(link, () => Link.open(locator, options)) }
  return {
    servers: single(link),
    at: () => one,
    register: async () => one,
    close: () => {
      // The connections by which others see this process close last, and together.
      one.lives.close()
      link.close()
      onClose()
    },
  }
}

/**
 * A session's two connections are on the primary of the pool's slot, and follow it: neither is that of the shards there, which stays where it
 * is when the pool's slot moves.
 */
function ofCluster(cluster: Cluster, keyOf: (pool: string) => string, options: LinkOptions): Deployment {
  const opening = new Map<string, Promise<PoolServer>>()
  const pools = new Map<string, PoolServer & { readonly data: Link }>()
  let closed = false
  // What is idle hears of no move.
  cluster.onMoved(() => {
    for (const [pool, { data }] of pools)
      if (data.connection && !cluster.serves(keyOf(pool), data.connection)) data.connection.destroy("the pool's slot moved")
  })
  const open = async (pool: string): Promise<PoolServer> => {
    const locator = cluster.locator(keyOf(pool))
    const data = await Link.open(locator, options)
    const made = { data, lives: new Lives(data, () => Link.open(locator, options)) }
    pools.set(pool, made)
    if (closed) data.close()
    return made
  }
  return {
    servers: cluster,
    at: (pool) => pools.get(pool),
    register: async (pool) => {
      const present = opening.get(pool) ?? open(pool)
      opening.set(pool, present)
      present.catch(() => opening.delete(pool))
      return await present
    },
    close: () => {
      closed = true
      for (const { data, lives } of pools.values()) {
        lives.close()
        data.close()
      }
      cluster.close()
    },
  }
}

/** `keyOf`: a key in the pool's own slot. */
export async function openDeployment(address: Address, options: LinkOptions, keyOf: (pool: string) => string): Promise<Deployment> {
  if (address.master !== undefined) {
    const locator = sentinelPrimary(address, address.master)
    try {
      return ofOne(await Link.open(locator, options), locator, options, () => locator.close())
    } catch (error) {
      locator.close()
      throw error
    }
  }
  const link = await Link.open(anyOf(address), options)
  if (!link.info.cluster && address.places.length === 1) return ofOne(link, fixed(targetAt(address, address.places[0])), options)
  link.close()
  if (!link.info.cluster)
    throw new BadOption(
      `expected several hosts in the store URL to be nodes of one Redis Cluster, got: ${address.shown}, where cluster_enabled is 0. ` +
        "Name the primary alone, or its Sentinels as in redis+sentinel://host:26379,host:26379/<name of the primary>.",
      { store: address.shown },
    )
  return ofCluster(await Cluster.open(address, options), keyOf, options)
}
