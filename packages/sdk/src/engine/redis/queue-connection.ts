/**
 * Connections of ioredis's own making to the store's servers, for a library that brings its own ways (BullMQ in the activity queue): they queue
 * while offline and send again, which is right there and nowhere else (T2: BullMQ never holds the truth).
 */
import { Cluster, type RedisOptions } from "ioredis"
import { nameless, wantsLogin } from "./locate.ts"
import { type Address, parseRedisUrl, type Place, targetAt } from "./url.ts"

type Used =
  | ("host" | "port" | "db" | "username" | "password" | "tls" | "maxRetriesPerRequest" | "disableClientInfo")
  | ("name" | "sentinels" | "sentinelUsername" | "sentinelPassword" | "sentinelTLS" | "enableTLSForSentinelMode")
type Options = { -readonly [K in Used]?: Exclude<RedisOptions[K], undefined> }

export interface QueueConnection {
  /** Options, by which each user makes connections of its own; of a cluster, a client that all share. */
  readonly connection: Options | Cluster
  close(): void
}

const askTimeout = 1_000

/** As locate.ts does it: most Sentinels know no users, and refuse who names one. */
async function sentinelsWantLogin(address: Address): Promise<boolean> {
  const ask = async (place: Place): Promise<boolean> => {
    try {
      const sentinel = await nameless({ ...targetAt(address, place), db: 0 }, askTimeout)
      sentinel.destroy("it was only asked")
      return false
    } catch (error) {
      if (wantsLogin(error)) return true
      throw error
    }
  }
  return address.password !== undefined && (await Promise.any(address.places.map(ask)).catch(() => false))
}

export async function queueConnection(url: string, cluster: boolean): Promise<QueueConnection> {
  const address = parseRedisUrl(url)
  const { places, master, username, password, db } = address
  const target = targetAt(address, places[0])
  const tls = address.tls && { ...address.tls, ...(target.servername === undefined ? {} : { servername: target.servername }) }
  const login = { ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }) }
  // CLIENT SETINFO, which Redis has from 7.2 on and Valkey, is a right that nothing here needs.
  const common = { ...login, maxRetriesPerRequest: null, disableClientInfo: true, ...(db === 0 ? {} : { db }) }
  if (master !== undefined) {
    const sentinelLogin =
      password !== undefined && (await sentinelsWantLogin(address))
        ? { sentinelPassword: password, ...(username === undefined ? {} : { sentinelUsername: username }) }
        : {}
    const secure = address.tls ? { tls: { ...address.tls }, sentinelTLS: { ...address.tls }, enableTLSForSentinelMode: true } : {}
    return {
      connection: { ...common, sentinels: places.map((place) => ({ ...place })), name: master, ...sentinelLogin, ...secure },
      close: () => {},
    }
  }
  if (!cluster) return { connection: { ...common, host: target.host, port: target.port, ...(tls ? { tls } : {}) }, close: () => {} }
  const client = new Cluster([...places], {
    redisOptions: { ...common, ...(address.tls ? { tls: { ...address.tls } } : {}) },
    // Names are looked up by who connects, so that certificates can be compared with them.
    dnsLookup: (name, callback) => callback(null, name),
  })
  return { connection: client, close: () => client.disconnect() }
}
