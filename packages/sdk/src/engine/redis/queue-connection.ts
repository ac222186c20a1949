/**
 * Connections of ioredis's own making to the store's servers, for a library that brings its own ways (BullMQ in the activity queue): they queue
 * while offline and send again, which is right there and nowhere else (T2: BullMQ never holds the truth).
 */
import { Cluster, Redis } from "ioredis"
import { sentinelPrimary } from "./locate.ts"
import { connectorOf, PrimarySockets } from "./primary-connector.ts"
import { parseRedisUrl, targetAt } from "./url.ts"

export interface QueueConnection {
  /** All share it; who needs one of its own makes it from this one. */
  readonly connection: Redis | Cluster
  /** Ends all that were made from it too, at once: also those that hang, and a library that waits for them. */
  close(): void
}

/** As BullMQ does it where it makes the connections, ms. */
const retryStrategy = (tries: number): number => Math.max(Math.min(Math.exp(tries), 20_000), 1_000)

/**
 * How often a cluster is asked who has its slots, ms. ioredis asks when it is told MOVED; where only connections to replicas are left, all primaries having
 * gone at once, a replica that is read from runs a script instead of saying so, and refuses its writes, for ever.
 */
const askEveryMs = 2_000

/** A client, and those that a library makes from it: it has no other way to end what waits for a server that says nothing. */
class Clients {
  readonly #all = new Set<Redis | Cluster>()
  #closed = false

  follow<Client extends Redis | Cluster>(client: Client): Client {
    this.#all.add(client)
    client.on("connecting", () => {
      if (this.#closed) client.disconnect()
      else this.#all.add(client)
    })
    client.on("end", () => this.#all.delete(client))
    // whoever uses it is told, and tells
    client.on("error", () => {})
    const duplicate = client.duplicate.bind(client) as (...given: ReadonlyArray<unknown>) => Client
    client.duplicate = ((...given: ReadonlyArray<unknown>) => this.follow(duplicate(...given))) as Client["duplicate"]
    return client
  }

  close(): void {
    this.#closed = true
    for (const client of this.#all) client.disconnect()
  }
}

export async function queueConnection(url: string, cluster: boolean): Promise<QueueConnection> {
  const address = parseRedisUrl(url)
  const { places, master, username, password, db } = address
  const target = targetAt(address, places[0])
  const tls = address.tls && { ...address.tls, ...(target.servername === undefined ? {} : { servername: target.servername }) }
  const login = { ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }) }
  // CLIENT SETINFO, which Redis has from 7.2 on and Valkey, is a right that nothing here needs.
  const common = { ...login, maxRetriesPerRequest: null, disableClientInfo: true, ...(db === 0 ? {} : { db }) }
  const clients = new Clients()
  const followed = (client: Redis | Cluster): QueueConnection => ({ connection: clients.follow(client), close: () => clients.close() })
  if (master !== undefined) {
    const sockets = new PrimarySockets(sentinelPrimary(address, master))
    const connection = clients.follow(new Redis({ ...common, retryStrategy, Connector: connectorOf(sockets) }))
    const close = (): void => {
      clients.close()
      sockets.close()
    }
    return { connection, close }
  }
  if (!cluster) return followed(new Redis({ ...common, retryStrategy, host: target.host, port: target.port, ...(tls ? { tls } : {}) }))
  return followed(
    new Cluster([...places], {
      slotsRefreshInterval: askEveryMs,
      redisOptions: { ...common, ...(address.tls ? { tls: { ...address.tls } } : {}) },
      // Names are looked up by who connects, so that certificates can be compared with them.
      dnsLookup: (name, callback) => callback(null, name),
    }),
  )
}
