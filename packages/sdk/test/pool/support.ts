/** What the tests of the pool share: stores of both drivers, a consumer that records what it runs, and stores that fail on request. */
import { afterEach, describe } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import type { Address, CommitItem, Engine, LoadedRun, Message } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/engine/open.ts"
import { StoreUnavailable } from "../../src/errors.ts"
import { addressOf, shardOf } from "../../src/key.ts"
import type { GiveUpReason, OwnedShard, ShardConsumer } from "../../src/pool/consumer.ts"
import type { PoolEvent } from "../../src/pool/events.ts"
import { joinPool, type JoinOptions, type PoolMember } from "../../src/pool/member.ts"
import { fast, shards } from "./settings.ts"

export { fast, shards }
export const kind = "job"
export const until = async (condition: () => boolean | Promise<boolean>, what: string, ms = 10_000): Promise<void> => {
  const end = performance.now() + ms
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${ms} ms in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
}

/** Applies a suite to both drivers; `url` names a store of its own for each test. */
export const describeStores = (name: string, suite: (url: () => string) => void): void => {
  describe(`${name} on memory:`, () => {
    let url = ""
    afterEach(() => (url = ""))
    suite(() => (url ||= `memory:${uniqueName("pool")}`))
  })
  describeRedis(`${name} on redis:`, () => suite(redisUrl))
}

interface Execution {
  readonly member: string
  readonly address: Address
  readonly run: string
  readonly from: number
  to: number
}

/** All that ran in a test, over all members. */
export class History {
  readonly executions: Array<Execution> = []

  begin(member: string, address: Address, run: string): Execution {
    const execution = { member, address, run, from: performance.now(), to: Number.POSITIVE_INFINITY }
    this.executions.push(execution)
    return execution
  }

  of(address: Address): ReadonlyArray<Execution> {
    return this.executions.filter((execution) => execution.address === address)
  }

  running(): ReadonlyArray<Execution> {
    return this.executions.filter((execution) => execution.to === Number.POSITIVE_INFINITY)
  }

  /** P1: no two executions of an address at once. */
  checkNoOverlap(): void {
    const last = new Map<Address, Execution>()
    for (const execution of this.executions.toSorted((a, b) => a.from - b.from)) {
      const before = last.get(execution.address)
      if (before !== undefined && before.to > execution.from)
        throw new Error(`${execution.address} ran on ${before.member} and ${execution.member} at once`)
      last.set(execution.address, execution)
    }
  }
}

interface Held {
  readonly shard: OwnedShard
  readonly run: LoadedRun
  readonly execution: Execution
}

/** Holds every run that it is given, as a job that goes on for ever, until a test ends it. Settles at once when a shard is given up. */
export class Holder implements ShardConsumer {
  readonly held = new Map<Address, Held>()
  readonly messages: Array<{ readonly address: Address; readonly message: Message }> = []
  readonly requests: Array<string> = []
  readonly givenUp: Array<{ readonly shard: number; readonly reason: GiveUpReason }> = []
  readonly errors: Array<unknown> = []
  member: PoolMember | undefined
  limit = 1_000
  /** Ends runs as soon as they come. */
  endAtOnce = false
  readonly #name: string
  readonly #history: History

  constructor(name: string, history: History) {
    this.#name = name
    this.#history = history
  }

  use() {
    return { running: this.held.size, capacity: this.limit }
  }

  onRuns(shard: OwnedShard, runs: ReadonlyArray<LoadedRun>): void {
    for (const run of runs) {
      if (this.held.get(run.address)?.run.run === run.run) continue
      const execution = this.#history.begin(this.#name, run.address, run.run)
      this.held.set(run.address, { shard, run, execution })
      if (this.endAtOnce)
        this.commit(run.address, { phase: "ended", outcome: "", retention: 1_000 }).catch((error: unknown) => this.errors.push(error))
    }
  }

  async commit(address: Address, next: CommitItem["next"]) {
    const held = this.held.get(address)
    if (held === undefined) throw new Error(`${address} is not held`)
    const { shard, run } = held
    const reply = await shard.commit({
      address,
      run: run.run,
      revision: run.revision,
      newRevision: shard.nextRevision(),
      journalLength: 0,
      append: [],
      journal: "clear",
      next,
      body: run.body,
      consumed: run.consumed,
      seen: run.inbox.at(-1)?.number ?? run.consumed,
      answers: [],
    })
    this.#drop(address)
    this.member?.wantMore()
    return reply
  }

  #drop(address: Address): void {
    const held = this.held.get(address)
    if (held === undefined) return
    held.execution.to = performance.now()
    this.held.delete(address)
  }

  onMessage(_shard: OwnedShard, address: Address, _run: string, message: Message): void {
    this.messages.push({ address, message })
  }

  onTerminated(_shard: OwnedShard, address: Address, run: string): void {
    if (run === "" || this.held.get(address)?.run.run === run) this.#drop(address)
  }

  onRequest(_shard: OwnedShard, text: string): void {
    this.requests.push(text)
  }

  executing(shard: OwnedShard): ReadonlySet<Address> {
    return new Set([...this.held.values()].filter((held) => held.shard === shard).map((held) => held.run.address))
  }

  capacity(): number {
    return this.limit - this.held.size
  }

  async giveUp(shard: OwnedShard, reason: GiveUpReason): Promise<void> {
    this.givenUp.push({ shard: shard.shard, reason })
    for (const [address, held] of this.held) if (held.shard === shard) this.#drop(address)
  }
}

/** A store in which single verbs can be replaced: to fail, to lose an answer, to be late. */
export const tampered = (engine: Engine, replace: Partial<Engine>): Engine =>
  new Proxy(engine, {
    get(target, name) {
      const replaced = replace[name as keyof Engine]
      if (replaced !== undefined) return replaced
      const value: unknown = Reflect.get(target, name)
      return typeof value === "function" ? value.bind(target) : value
    },
  })

/** A store that cannot be reached while `down.is`. */
export const cuttable = (engine: Engine): { readonly engine: Engine; readonly down: { is: boolean } } => {
  const down = { is: false }
  const cut = new Proxy(engine, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== "function") return value
      return (...args: ReadonlyArray<unknown>): unknown => {
        if (down.is && name !== "close") return Promise.reject(new StoreUnavailable("cut by the test"))
        return value.apply(target, args)
      }
    },
  })
  return { engine: cut, down }
}

/** One pool of a test: its members, consumers, events; all ended after the test. */
export class Ground {
  readonly pool = uniqueName("pool")
  readonly history = new History()
  readonly members: Array<PoolMember> = []
  readonly events: Array<PoolEvent & { readonly on: string }> = []
  readonly #engines: Array<Engine> = []
  readonly #url: string
  readonly #shards: number

  constructor(url: string, count = shards) {
    this.#url = url
    this.#shards = count
    grounds.push(this)
  }

  async engine(): Promise<Engine> {
    const engine = await openEngine(this.#url, { callTimeout: 2_000 })
    this.#engines.push(engine)
    return engine
  }

  async join(
    name: string,
    given: Partial<JoinOptions> & { readonly consumer?: Holder } = {},
  ): Promise<{ readonly member: PoolMember; readonly holder: Holder }> {
    const holder = given.consumer ?? new Holder(name, this.history)
    const member = await joinPool({
      engine: given.engine ?? (await this.engine()),
      pool: this.pool,
      shards: this.#shards,
      kinds: [kind],
      options: fast,
      onEvent: (event) => this.events.push({ ...event, on: name }),
      ...given,
      consumer: holder,
    })
    holder.member = member
    this.members.push(member)
    return { member, holder }
  }

  item(key: string): { readonly shard: number; readonly address: Address } {
    return { shard: shardOf(key, this.#shards), address: addressOf(kind, key) }
  }

  async start(engine: Engine, keys: ReadonlyArray<string>): Promise<void> {
    const replies = await engine.start(
      this.pool,
      keys.map((key) => ({ ...this.item(key), run: `run-${key}`, body: key })),
    )
    if (replies.some((reply) => reply.status !== "started")) throw new Error(`not all started: ${JSON.stringify(replies)}`)
  }

  seen<T extends PoolEvent["type"]>(type: T): ReadonlyArray<Extract<PoolEvent, { readonly type: T }> & { readonly on: string }> {
    return this.events.filter((event) => event.type === type) as never
  }

  async end(): Promise<void> {
    await Promise.all(this.members.map((member) => member.drain({ deadline: 500 })))
    for (const engine of this.#engines) await engine.close()
    const [fault] = this.seen("fault")
    if (fault !== undefined) throw new Error(`a fault on ${fault.on}`, { cause: fault.error })
  }
}

const grounds: Array<Ground> = []
/** Of this test, so far. */
export const endGrounds = async (): Promise<void> => {
  for (const ground of grounds.splice(0)) await ground.end()
}
afterEach(endGrounds)

export const keys = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => `key-${i}`)
export const address = (key: string): Address => addressOf(kind, key)
