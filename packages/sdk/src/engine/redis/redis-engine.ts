/** The Redis driver: wires servers, bus, keys and verbs; decides nothing. */
import { optionTable } from "../../options.ts"
import type { Engine, EngineOptions, Hint, ShardEvent } from "../engine.ts"
import { audit } from "./audit-verbs.ts"
import type { Store } from "./batch.ts"
import { Bus, parseEvents, parseHint } from "./bus.ts"
import * as client from "./client-verbs.ts"
import type { Connection } from "./connection.ts"
import { type Deployment, openDeployment } from "./deployment.ts"
import { Keys } from "./keys.ts"
import * as links from "./link-verbs.ts"
import * as maps from "./map-verbs.ts"
import * as pools from "./pool-verbs.ts"
import * as reads from "./read-verbs.ts"
import * as streams from "./stream-verbs.ts"
import { parseRedisUrl } from "./url.ts"
import { commit } from "./commit-verb.ts"
import * as worker from "./worker-verbs.ts"

const defaults = { callTimeout: 5000, connectTimeout: 5000, prefix: "p", auditLength: optionTable.auditLength.default } as const

const onStderr = (text: string) => void process.stderr.write(`ponos: ${text}\n`)

export async function openRedisEngine(url: string, options: EngineOptions = {}): Promise<Engine> {
  const address = parseRedisUrl(url)
  const keys = new Keys(options.prefix ?? defaults.prefix)
  const deployment = await openDeployment(
    address,
    {
      callTimeout: options.callTimeout ?? defaults.callTimeout,
      connectTimeout: options.connectTimeout ?? defaults.connectTimeout,
      background: options.background ?? false,
    },
    (pool) => keys.pool(pool).settings,
  )
  warnOfEviction(deployment, options.onWarning ?? onStderr)
  return engine(address.shown, deployment, keys, options)
}

/** Each server is asked, and each is warned of once. */
function warnOfEviction({ servers }: Deployment, warn: (text: string) => void): void {
  const warned = new Set<string>()
  const look = ({ target, info }: Connection) => {
    if (info.policy === "noeviction" || info.policy === "" || warned.has(target.shown)) return
    warned.add(target.shown)
    warn(
      `${target.shown} has maxmemory-policy ${info.policy}, expected noeviction: at its memory limit Redis would delete jobs. ` +
        "Set it with CONFIG SET maxmemory-policy noeviction and in redis.conf.",
    )
  }
  servers.onLink((link) => {
    if (link.connection) look(link.connection)
    link.onConnected(async (connection) => look(connection))
  })
}

function engine(url: string, deployment: Deployment, keys: Keys, options: EngineOptions): Engine {
  const { servers } = deployment
  const bus = new Bus(servers)
  const clock = options.now
  const auditLength = options.auditLength ?? defaults.auditLength
  const now = clock ? () => String(clock()) : () => ""
  const store: Store = { servers, shardPrefix: (pool, shard) => keys.pool(pool).shard(shard), now }
  /** Streams and maps have slots of their own. */
  const at = (pool: string) => ({ link: servers, keys: keys.pool(pool), now: now() })
  const atPool = (pool: string) => ({ link: deployment.at(pool)?.data ?? servers, keys: keys.pool(pool), now: now() })
  /** What keeps a session alive, or ends another one, does not queue behind data. */
  const atLives = (pool: string) => ({ ...at(pool), link: deployment.at(pool)?.lives.link ?? servers })
  return {
    driver: "redis",
    url,
    spansShards: !servers.cluster,
    ...(servers.cluster ? { serverOf: (pool: string, shard: number) => servers.serverOf(keys.pool(pool).shard(shard)) } : {}),
    openPool: async (pool, settings) => await pools.openPool(pool, atPool(pool), settings),
    poolInfo: async (pool) => await pools.poolInfo(atPool(pool)),
    addKinds: async (pool, kinds) => await pools.addKinds(atPool(pool), kinds),
    kinds: async (pool) => await pools.kinds(atPool(pool)),
    join: async (pool, member) => await pools.join(atLives(pool), member),
    registerLife: async (pool, _session, lifeOptions = {}) => await (await deployment.register(pool)).lives.register(lifeOptions),
    presence: async (pool, onChange) => await (await deployment.register(pool)).lives.presence(onChange),
    probe: async (pool, signs) => {
      const server = deployment.at(pool) ?? (await deployment.register(pool).catch(() => undefined))
      return (await server?.lives.probe(signs)) ?? signs.map(() => "unknown")
    },
    updateMember: async (pool, member, from) => await pools.updateMember(atLives(pool), member, from),
    leave: async (pool, session) => await pools.leave(atLives(pool), session),
    renew: async (pool, session) => await pools.renew(atLives(pool), session),
    markDead: async (pool, session, counter, record) => await pools.markDead(atLives(pool), session, counter, record),
    members: async (pool) => await pools.members(atPool(pool)),
    assignment: async (pool) => await pools.assignment(atPool(pool)),
    assign: async (pool, next) => await pools.assign(atPool(pool), next),
    start: (pool, items) => client.start(store, pool, items),
    message: (pool, items) => client.message(store, pool, items),
    terminate: (pool, items) => client.terminate(store, pool, items),
    link: (pool, items) => links.link(store, pool, items),
    forbid: (pool, items) => links.forbid(store, pool, items),
    forward: (pool, groups) => links.forward(store, pool, groups),
    read: (pool, items, readOptions) => reads.read(store, pool, items, readOptions?.full ?? false),
    answers: (pool, items) => reads.answers(store, pool, items),
    list: (pool, shard, cursor, limit) => reads.list(store, pool, shard, cursor, limit),
    digests: (pool, controller, shards, fence) => client.digests(store, pool, controller, shards, fence),
    claim: (pool, items) => worker.claim(store, pool, items, auditLength),
    release: (pool, items) => worker.release(store, pool, items, auditLength),
    take: (pool, groups) => worker.take(store, pool, groups),
    commit: (pool, groups) => commit(store, pool, groups),
    trim: (pool, groups) => worker.trim(store, pool, groups),
    audit: (pool, items) => audit(store, pool, items),
    headers: (pool, shards) => reads.headers(store, pool, shards),
    queues: (pool, shards) => reads.queues(store, pool, shards),
    sweep: (pool, shards) => reads.sweep(store, pool, shards),
    onHint: async (pool, shard, listener: (hint: Hint) => void) =>
      await bus.subscribe(
        keys.pool(pool).hint(shard),
        (text) => {
          const hint = parseHint(shard, text)
          if (hint) listener(hint)
        },
        { pulls: true },
      ),
    onEvent: async (pool, shard, listener: (event: ShardEvent) => void) =>
      await bus.subscribe(keys.pool(pool).event(shard), (text) => {
        for (const event of parseEvents(shard, text)) listener(event)
      }),
    subscribe: async (pool, channel, listener) => await bus.subscribe(keys.pool(pool).channel(channel), listener),
    readMaps: async (pool, items) => await maps.readMaps(at(pool), items),
    changeMaps: async (pool, items) => await maps.changeMaps(at(pool), items),
    destroyMaps: async (pool, names) => await maps.destroyMaps(at(pool), names),
    onMapChange: async (pool, map, listener) =>
      await bus.subscribe(`${keys.pool(pool).map(map)}change`, (text) => listener(maps.parseNotice(text)), { pulls: true }),
    appendStreams: async (pool, items) => await streams.appendStreams(at(pool), items),
    readStreams: async (pool, items) => await streams.readStreams(at(pool), items),
    lastPositions: async (pool, names) => await streams.lastPositions(at(pool), names),
    trimStreams: async (pool, items) => await streams.trimStreams(at(pool), items),
    destroyStreams: async (pool, names) => await streams.destroyStreams(at(pool), names),
    joinSinks: async (pool, items) => await streams.joinSinks(at(pool), items),
    takeEvents: async (pool, items) => await streams.takeEvents(at(pool), items),
    ackEvents: async (pool, items) => await streams.ackEvents(at(pool), items),
    beatSinks: async (pool, items) => await streams.beatSinks(at(pool), items),
    leaveSinks: async (pool, items) => await streams.leaveSinks(at(pool), items),
    destroySinks: async (pool, items) => await streams.destroySinks(at(pool), items),
    onAppend: async (pool, stream, listener) =>
      await bus.subscribe(`${keys.pool(pool).stream(stream)}append`, () => listener(), { pulls: true }),
    publish: async (pool, channel, text) => await bus.publish(keys.pool(pool).channel(channel), text),
    close: async () => {
      bus.close()
      deployment.close()
    },
  }
}
