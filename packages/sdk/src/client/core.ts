/**
 * What all handles of one client share: the connection, batches, and waiting for ends and answers. Waiting is by event and proved by a slow
 * poll, since the bus may lose anything (E6).
 */
import type {
  Engine,
  LoadedRun,
  MessageItem,
  MessageReply,
  ShardEvent,
  StartItem,
  StartReply,
  TerminateItem,
  TerminateReply,
  Unsubscribe,
} from "../engine/engine.ts"
import type { Codec } from "../codec/codec.ts"
import { CodecChain } from "../codec/codec.ts"
import { codedEngine } from "../engine/coded-engine.ts"
import { openEngine } from "../engine/open.ts"
import { openPool } from "../engine/open-pool.ts"
import { ShardBatcher } from "../engine/shard-batcher.ts"
import { ShortLivedMap, ShortLivedSet } from "../engine/short-lived.ts"
import { BadOption, NoWorker } from "../errors.ts"
import type { Options } from "../options.ts"
import { defaults } from "../options.ts"
import { checkInterceptors } from "../runtime/interceptors.ts"
import type { ClientInterceptor } from "./interceptors.ts"

/** Proof of what an event may have missed, ms. */
const pollMs = 1_000

interface Pending {
  readonly resolve: (text: string) => void
}

interface ShardWatch {
  users: number
  readonly listeners: ShortLivedSet<(event: ShardEvent) => void>
  unsubscribe: Promise<Unsubscribe>
}

export interface ClientCoreOptions extends Partial<Options> {
  readonly pool: string
  readonly store?: string | undefined
  /** An engine that somebody else opened and closes. */
  readonly engine?: Engine
  readonly codecs?: ReadonlyArray<Codec>
  readonly interceptors?: ReadonlyArray<ClientInterceptor>
}

export class ClientCore {
  readonly pool: string
  readonly options: Options
  readonly interceptors: ReadonlyArray<ClientInterceptor>
  readonly #given: ClientCoreOptions
  #engine: Promise<Engine> | undefined
  #opened: Engine | undefined
  #shards: Promise<number> | undefined
  /** Number of shards, once it is known: starts need not wait for it again. */
  knownShards: number | undefined
  readonly #kinds = new Map<string, Promise<void>>()
  readonly #announced = new Set<string>()
  readonly #watches = new Map<number, ShardWatch>()
  readonly #requests = new ShortLivedMap<string, Pending>()
  readonly #id = crypto.randomUUID()
  #replies: Promise<Unsubscribe> | undefined
  #closed = false
  readonly #start: ShardBatcher<StartItem, StartReply>
  readonly #message: ShardBatcher<MessageItem, MessageReply>
  readonly #terminate: ShardBatcher<TerminateItem, TerminateReply>
  readonly #read: ShardBatcher<{ shard: number; address: string }, LoadedRun | undefined>
  readonly #answers: ShardBatcher<{ shard: number; id: string }, string | undefined>

  constructor(given: ClientCoreOptions) {
    this.#given = given
    this.interceptors = checkInterceptors(given.interceptors)
    this.pool = given.pool
    this.options = { ...defaults, ...given }
    this.#start = this.#batcher((engine, items) => engine.start(this.pool, items))
    this.#message = this.#batcher((engine, items) => engine.message(this.pool, items))
    this.#terminate = this.#batcher((engine, items) => engine.terminate(this.pool, items))
    this.#read = this.#batcher((engine, items) => engine.read(this.pool, items))
    this.#answers = this.#batcher((engine, items) => engine.answers(this.pool, items))
  }

  #batcher<Item extends { readonly shard: number }, Reply>(
    verb: (engine: Engine, items: ReadonlyArray<Item>) => Promise<ReadonlyArray<Reply>>,
  ): ShardBatcher<Item, Reply> {
    return new ShardBatcher({
      // Who has a shard's number has opened the engine.
      engine: () => this.#opened,
      pool: this.pool,
      shardOf: (item) => item.shard,
      send: (items) => (this.#opened === undefined ? this.engine().then((engine) => verb(engine, items)) : verb(this.#opened, items)),
    })
  }

  engine(): Promise<Engine> {
    if (this.#closed)
      return Promise.reject(new BadOption("expected an open client, got a call after close(): create another one with createClient", {}))
    if (this.#engine === undefined) {
      const { engine, store, codecs } = this.#given
      // a program that has got its answers ends, also where it forgot to close
      const options = { callTimeout: this.options.callTimeoutMs, background: true }
      const opened = engine === undefined ? openEngine(store, options) : Promise.resolve(engine)
      this.#engine = codecs === undefined ? opened : opened.then((plain) => codedEngine(plain, new CodecChain(codecs)))
      // a failed opening is not remembered: the next call tries again
      this.#engine.then(
        (ready) => (this.#opened = ready),
        () => (this.#engine = undefined),
      )
    }
    return this.#engine
  }

  /** Number of shards of the pool; the pool is created with the default (or the given) number if nobody joined it yet. */
  shards(): Promise<number> {
    if (this.#shards === undefined) {
      this.#shards = this.engine().then(async (engine) => (await openPool(engine, this.pool, this.#given.shards)).shards)
      this.#shards.then(
        (shards) => (this.knownShards = shards),
        () => (this.#shards = undefined),
      )
    }
    return this.#shards
  }

  isAnnounced(kind: string): boolean {
    return this.#announced.has(kind)
  }

  /** Adds the kind to the pool's kinds before its first start (A2). */
  announceKind(kind: string): Promise<void> {
    let known = this.#kinds.get(kind)
    if (known === undefined) {
      known = this.engine().then((engine) => engine.addKinds(this.pool, [kind]))
      known.then(
        () => this.#announced.add(kind),
        () => this.#kinds.delete(kind),
      )
      this.#kinds.set(kind, known)
    }
    return known
  }

  start(item: StartItem): Promise<StartReply> {
    return this.#start.add(item)
  }
  message(item: MessageItem): Promise<MessageReply> {
    return this.#message.add(item)
  }
  terminate(item: TerminateItem): Promise<TerminateReply> {
    return this.#terminate.add(item)
  }
  read(shard: number, address: string): Promise<LoadedRun | undefined> {
    return this.#read.add({ shard, address })
  }
  answer(shard: number, id: string): Promise<string | undefined> {
    return this.#answers.add({ shard, id })
  }

  /**
   * Repeats `probe` at each event of the shard that concerns the caller, and at least once a second, until it gives something.
   * Gives `undefined` after `timeout` ms (undefined: never).
   */
  async waitFor<A>(
    shard: number,
    concerns: (event: ShardEvent) => boolean,
    probe: () => Promise<A | undefined>,
    timeout: number | undefined,
  ): Promise<A | undefined> {
    const deadline = timeout === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeout
    let wake: (() => void) | undefined
    let woken = false
    const listener = (event: ShardEvent): void => {
      if (!concerns(event)) return
      woken = true
      wake?.()
    }
    const watch = await this.#watch(shard)
    watch.listeners.add(listener)
    try {
      for (;;) {
        woken = false
        const found = await probe()
        if (found !== undefined) return found
        const left = deadline - performance.now()
        if (left <= 0) return undefined
        if (woken) continue
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, Math.min(left, pollMs))
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
    } finally {
      watch.listeners.delete(listener)
      watch.users--
    }
  }

  async #watch(shard: number): Promise<ShardWatch> {
    let watch = this.#watches.get(shard)
    if (watch === undefined) {
      const listeners = new ShortLivedSet<(event: ShardEvent) => void>()
      const engine = await this.engine()
      watch = this.#watches.get(shard)
      if (watch === undefined) {
        const unsubscribe = engine.onEvent(this.pool, shard, (event) => {
          for (const listener of listeners.items) listener(event)
        })
        watch = { users: 0, listeners, unsubscribe }
        this.#watches.set(shard, watch)
      }
    }
    watch.users++
    // a subscription that fails costs latency only: the poll finds the end
    await watch.unsubscribe.catch(() => {
      this.#watches.delete(shard)
    })
    return watch
  }

  /** Asks the owner of a shard over the bus; the answer may get lost, so it has a deadline. */
  async request(shard: number, message: Readonly<Record<string, unknown>>, timeout: number, what: string): Promise<string> {
    const engine = await this.engine()
    this.#replies ??= engine.subscribe(this.pool, `replies:${this.#id}`, (text) => {
      const end = text.indexOf(" ")
      const pending = this.#requests.get(text.slice(0, end))
      if (pending !== undefined) pending.resolve(text.slice(end + 1))
    })
    await this.#replies
    const id = crypto.randomUUID()
    const deadline = performance.now() + timeout
    try {
      const answered = new Promise<string>((resolve) => this.#requests.set(id, { resolve }))
      // asked again a few times: the shard may be moving, and the bus is volatile
      for (let wait = Math.min(250, timeout); ; wait = Math.min(wait * 2, pollMs)) {
        await engine.publish(this.pool, `requests:${shard}`, JSON.stringify({ id, reply: `replies:${this.#id}`, ...message }))
        const left = deadline - performance.now()
        const answer = await raceTimer(answered, Math.min(wait, Math.max(left, 0)))
        if (answer !== undefined) return answer
        if (performance.now() >= deadline)
          throw new NoWorker(
            `no worker of pool ${this.pool} answered ${what} within ${timeout} ms. Start a worker that serves it, or raise the timeout.`,
            {
              pool: this.pool,
              timeout,
            },
          )
      }
    } finally {
      this.#requests.delete(id)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    const engine = this.#engine
    this.#closed = true
    if (engine === undefined) return
    const opened = await engine.catch(() => undefined)
    if (opened === undefined) return
    const subscriptions = [...this.#watches.values()].map((watch) => watch.unsubscribe)
    if (this.#replies !== undefined) subscriptions.push(this.#replies)
    await Promise.allSettled(subscriptions.map(async (subscription) => (await subscription)()))
    if (this.#given.engine === undefined) await opened.close()
  }
}

const raceTimer = async <A>(promise: Promise<A>, ms: number): Promise<A | undefined> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    return await Promise.race([promise, new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), ms)))])
  } finally {
    clearTimeout(timer)
  }
}
