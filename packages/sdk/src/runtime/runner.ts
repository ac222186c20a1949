/**
 * The durable runtime as a consumer of the pool: one table of residents, one slot per address (W5). Thin: `wake` decides what to do with a
 * run, `attempt` runs it, `finish` writes how it ended.
 */
import type { Address, LoadedRun, Message } from "../engine/engine.ts"
import { ShortLivedMap, ShortLivedSet } from "../engine/short-lived.ts"
import { Deposed, HandlerMissing, StoreUnavailable } from "../errors.ts"
import { firstField, splitAddress } from "../key.ts"
import type { GiveUpReason, OwnedShard, ShardConsumer } from "../pool/consumer.ts"
import { runAs, workDone } from "../pool/work.ts"
import { hearTry } from "./activity-watch.ts"
import type { Present } from "./answers.ts"
import { answerQuery } from "./answers.ts"
import { BlockedRuns, blockedRetryMs } from "./blocked-runs.ts"
import type { Use } from "../telemetry/measured.ts"
import type { Body } from "./body.ts"
import { parseBody } from "./body.ts"
import type { Attempt } from "./attempt.ts"
import type { IterationHost, RunnerOptions } from "./host.ts"
import { errorOf } from "./host.ts"
import { Iteration } from "./iteration.ts"
import { LazyAbort } from "./lazy-abort.ts"
import { Forwarder } from "./forwarder.ts"
import { Reach } from "./reach.ts"
import type { Resident } from "./resident.ts"
import { Shares, Uses } from "./shares.ts"
import type { Beat } from "./task.ts"
import { hold, park } from "./writes.ts"

/** When all places are taken: how often handlers are looked at that could give theirs, and how long they must have waited, ms. */
const roomMadeEveryMs = 250
const waitedMs = 500

/** What comes to the owner of a shard over the bus. */
type Request = { readonly id: string; readonly reply: string } & (
  | { readonly type: "query"; readonly address: string; readonly name: string; readonly input: unknown }
  | { readonly type: "activities"; readonly address: string; readonly run: string }
  | { readonly type: "beat"; readonly beat: Beat }
)

export class Runner implements ShardConsumer, IterationHost {
  readonly options: RunnerOptions
  readonly reach: Reach
  readonly #forwarder: Forwarder
  readonly #residents = new ShortLivedMap<Address, Resident>()
  readonly #executing = new Map<number, ShortLivedSet<Address>>()
  readonly #shares: Shares
  readonly #blocked: BlockedRuns
  #running = 0
  #idle = 0

  constructor(options: RunnerOptions) {
    this.options = options
    this.#blocked = new BlockedRuns(options.limits.maxResident, (address) => this.#residents.get(address)?.executing !== undefined)
    this.#shares = new Shares({
      effects: options.effects,
      onCloseFailed: (tenant, error) => options.onEvent({ type: "closeFailed", tenant, error: errorOf(error) }),
    })
    this.reach = new Reach(options)
    this.#forwarder = new Forwarder(options)
  }

  capacity(): number {
    const room = this.options.limits.concurrency - this.#running
    if (room <= 0) this.#makeRoom()
    return room
  }

  use(): Use {
    return { running: this.#running, capacity: this.options.limits.concurrency }
  }

  executing(shard: OwnedShard): ReadonlySet<Address> {
    return this.#executingOf(shard.shard).items
  }

  #executingOf(shard: number): ShortLivedSet<Address> {
    let set = this.#executing.get(shard)
    if (set === undefined) this.#executing.set(shard, (set = new ShortLivedSet()))
    return set
  }

  onRuns(shard: OwnedShard, runs: ReadonlyArray<LoadedRun>): void {
    for (const run of runs) {
      try {
        this.#onRun(shard, run)
      } catch (error) {
        this.#quarantine(shard, run, errorOf(error))
      }
    }
    workDone()
  }

  /** One damaged run must not stop the others (B1): it is reported once, and left alone while the shard is owned here. */
  #quarantine(shard: OwnedShard, { address, run }: Pick<LoadedRun, "address" | "run">, error: Error): void {
    const { kind, key } = splitAddress(address)
    this.#blocked.drop(address)
    // one that is being given up goes to its next owner
    if (!shard.abortSignal.aborted) {
      this.#executingOf(shard.shard).add(address)
      shard.abortSignal.addEventListener("abort", () => this.#executingOf(shard.shard).delete(address), { once: true })
    }
    this.options.onEvent({ type: "blocked", kind, key, run, error })
  }

  #onRun(shard: OwnedShard, run: LoadedRun): void {
    const resident = this.#residents.get(run.address)
    if (resident === undefined) return this.#begin(shard, run)
    const same = resident.run === run.run && resident.shard === shard && !resident.evicted
    if (resident.executing === undefined && same) return this.#execute(resident, run, parseBody(run.body))
    if (same && resident.handling && resident.revision === run.revision) {
      // brought again while it executes: only its messages are news
      if (resident.inbox?.add(run.inbox) === true) this.#tell(resident, run.inbox)
      return
    }
    // another run, another epoch, or one that is closing: it waits for its slot
    resident.next = shard
    if (!same) this.#evict(resident, new Deposed(`the run ${resident.run} of ${run.address} was replaced by ${run.run}.`))
  }

  #begin(shard: OwnedShard, run: LoadedRun): void {
    const { kind: name, key } = splitAddress(run.address)
    const kind = this.options.kinds.get(name)
    if (kind === undefined) return this.#missing(shard, run, name, key)
    // refused before a slot is given away
    const body = parseBody(run.body)
    const resident: Resident = {
      shard,
      address: run.address,
      kind,
      key,
      run: run.run,
      revision: run.revision,
      life: new LazyAbort(),
      resource: undefined,
      uses: undefined,
      inbox: undefined,
      attempt: undefined,
      source: undefined,
      moves: 0,
      since: 0,
      handling: false,
      lasts: false,
      executing: undefined,
      next: undefined,
      evicted: false,
      onFree: undefined,
      used: 0,
    }
    this.#residents.set(run.address, resident)
    this.#idle++
    this.#execute(resident, run, body)
  }

  /** A kind without handlers here: the run waits for a worker that has them, and is reported; nothing is lost (A2). */
  #missing(shard: OwnedShard, run: LoadedRun, kind: string, key: string): void {
    const error = new HandlerMissing(
      `the run ${run.run} of ${run.address} needs handlers of kind ${kind}, and this worker has those of ${[...this.options.kinds.keys()].join(", ") || "no kind"}. ` +
        "Add its implementation to createWorker({ jobs }), or stop the run. It waits.",
      { kind },
    )
    this.options.onEvent({ type: "blocked", kind, key, run: run.run, error })
    this.block(shard, run, { ...parseBody(run.body), blocked: error.message }).catch(() => undefined)
  }

  reserve(shard: OwnedShard, address: Address): boolean {
    const reserved = this.#blocked.reserve(shard, address)
    if (reserved) this.#executingOf(shard.shard).add(address)
    return reserved
  }

  hold(shard: OwnedShard, address: Address, due: number | undefined): void {
    if (due !== undefined) this.#blocked.hold(address, due)
    else if (this.#blocked.drop(address)) this.#executingOf(shard.shard).delete(address)
  }

  async block(shard: OwnedShard, run: LoadedRun, body: Body): Promise<void> {
    if (!this.reserve(shard, run.address)) return void (await park(shard, run, body, blockedRetryMs))
    let due: number | undefined
    try {
      const missed = await hold(shard, run, body)
      due = missed ? 0 : shard.now() + blockedRetryMs
    } finally {
      this.hold(shard, run.address, due)
    }
  }

  #execute(resident: Resident, run: LoadedRun, body: Body): void {
    this.#executingOf(resident.shard.shard).add(run.address)
    this.#blocked.drop(run.address)
    this.#running++
    this.#idle--
    this.options.stats.began(run.since, resident.shard.now())
    resident.executing = new Iteration(this, resident, run, body).execute().then(
      () => this.#settled(resident),
      (error: unknown) => {
        // the store or the shard is gone: the run is loaded again by whoever owns it then; anything else is damage, or a bug of ours
        this.#evict(resident, errorOf(error))
        const gone = Deposed.is(error) || StoreUnavailable.is(error) || !resident.shard.trusted()
        return gone ? this.#settled(resident) : this.#damaged(resident, errorOf(error))
      },
    )
  }

  async #damaged(resident: Resident, damage: Error): Promise<void> {
    await this.#settled(resident)
    this.#quarantine(resident.shard, resident, damage)
  }

  #settled(resident: Resident): void | Promise<void> {
    if (!this.#blocked.has(resident.address)) this.#executingOf(resident.shard.shard).delete(resident.address)
    this.#running--
    this.#idle++
    if (resident.uses !== undefined) this.#release(resident)
    resident.handling = false
    resident.lasts = false
    if (resident.evicted) {
      // W5: the slot is free only when `close` has ended
      return resident.resource === undefined ? this.#free(resident) : this.#close(resident)
    }
    resident.used = performance.now()
    resident.attempt = undefined
    resident.source = undefined
    resident.executing = undefined
    this.#blocked.lookAt(resident.address)
    const next = resident.next
    resident.next = undefined
    // asked for again rather than run as it came: it may have been loaded before this attempt's last write
    next?.reload([resident.address])
    if (this.#idle > this.options.limits.maxResident) this.#evictIdlest()
    this.options.wantMore()
  }

  #release(resident: Resident): void {
    this.#shares.release(resident.uses as Uses)
    resident.uses = undefined
  }

  useShared(resident: Resident, shared: unknown, abortSignal: AbortSignal): Promise<unknown> {
    resident.uses ??= new Uses()
    const tenant = firstField(resident.key, resident.kind.contract.key.length)
    return this.#shares.use(shared, tenant, resident.shard, resident.uses, abortSignal)
  }

  /** Marks a resident for removal; it goes when its handler has settled. */
  #evict(resident: Resident, reason: Error): void {
    if (!resident.evicted) {
      resident.evicted = true
      resident.life.abort(reason)
      if (resident.executing !== undefined) this.#watch(resident)
    }
    resident.executing ??= resident.resource === undefined ? this.#free(resident) : this.#close(resident)
  }

  /** A handler that does not settle after its abort keeps its slot: nothing starts beside it, and somebody should know (W5). */
  #watch(resident: Resident): void {
    const { kind, key, run } = resident
    const timer = setTimeout(() => this.options.onEvent({ type: "stuck", kind: kind.kind, key, run }), this.options.limits.abortGraceMs)
    timer.unref()
    resident.onFree = () => clearTimeout(timer)
  }

  leaves(resident: Resident, reason: Error): void {
    this.#evict(resident, reason)
  }

  /** Unlike an eviction it meets a handler that has settled, so nothing can be stuck; it is the end of most runs. */
  ended(resident: Resident): void {
    if (resident.evicted) return
    resident.evicted = true
    resident.life.abort(() => new Deposed(`the run ${resident.run} of ${resident.address} has ended.`))
  }

  async #close(resident: Resident): Promise<void> {
    await this.closeResource(resident)
    this.#free(resident)
  }

  /** Runs `close`; its failure is reported and changes nothing. */
  async closeResource(resident: Resident): Promise<void> {
    const { resource, kind } = resident
    resident.resource = undefined
    if (resource === undefined) return
    try {
      const work = { kind: kind.kind, key: resident.key }
      await runAs(work, () => this.options.effects.settle(kind.handlers.close?.(resource.value), new LazyAbort()))
    } catch (error) {
      this.options.onEvent({
        type: "failed",
        kind: kind.kind,
        key: resident.key,
        run: resident.run,
        attempt: 0,
        error: error as Error,
        retryIn: undefined,
      })
    }
    if (resource.uses !== undefined) this.#shares.release(resource.uses)
  }

  #free(resident: Resident): undefined {
    resident.onFree?.()
    this.#residents.delete(resident.address)
    this.#idle--
    const next = resident.next
    if (next?.trusted() === true) next.reload([resident.address])
    this.options.wantMore()
    return undefined
  }

  /** Keeps residents within `maxResident`: the idlest leave memory, their resources are closed first. */
  #evictIdlest(): void {
    const excess = this.#idle - this.options.limits.maxResident
    const idle = [...this.#residents.values()].filter((resident) => resident.executing === undefined)
    idle.sort((a, b) => a.used - b.used)
    // a tenth more than needed, so that sorting is rare
    for (const resident of idle.slice(0, excess + Math.ceil(this.options.limits.maxResident / 10)))
      this.#evict(resident, new Deposed(`${resident.address} left memory: more than maxResident runs were held.`))
  }

  onMessage(shard: OwnedShard, address: Address, run: string, message: Message): void {
    // what an operator may have decided; signals and results change nothing for it
    if (this.#blocked.has(address)) {
      if (message.kind === "signal" || message.kind === "result") return
      this.#blocked.hurry(address)
      return this.#blocked.lookAt(address)
    }
    const resident = this.#residents.get(address)
    if (resident === undefined || resident.run !== run || resident.inbox === undefined || resident.executing === undefined) return
    if (resident.inbox.last >= message.number) return
    if (resident.inbox.add([message])) this.#tell(resident, [message])
    else shard.reload([address])
  }

  /** A handler that made no durable call yet hears of a cancel all the same. */
  #tell(resident: Resident, messages: ReadonlyArray<Message>): void {
    const { attempt, handling, source } = resident
    if (attempt !== undefined) attempt.messages()
    else if (handling && messages.some(({ kind }) => kind === "cancel")) source?.attempt().messages()
  }

  /**
   * Handlers that wait inside an iteration, hold no resource, and were found waiting for `afterMs`, leave memory. To be called by the worker's
   * slow cycle.
   */
  parkWaiting(afterMs = this.options.limits.parkAfterMs): void {
    const now = performance.now()
    for (const resident of this.#residents.values()) {
      const rested = this.#rested(resident, now)
      if (rested !== undefined && rested >= afterMs && resident.resource === undefined) resident.source?.park()
    }
  }

  /** For how long the handler was found waiting, ms; `undefined`: it does something. */
  #rested(resident: Resident, now: number): number | undefined {
    const { attempt } = resident
    if (attempt === undefined || resident.evicted) return undefined
    if (attempt.moves === resident.moves) return now - resident.since
    resident.moves = attempt.moves
    resident.since = now
    return undefined
  }

  /** All places are taken, and runs wait for one: handlers that only wait give theirs, those that wait the longest first. */
  #makeRoom(): void {
    const now = performance.now()
    if (now - this.#roomMadeAt < roomMadeEveryMs) return
    this.#roomMadeAt = now
    const waiting: Array<Resident> = []
    for (const resident of this.#residents.values()) {
      const rested = this.#rested(resident, now)
      if (rested !== undefined && rested >= waitedMs) waiting.push(resident)
    }
    waiting.sort((a, b) => a.since - b.since)
    for (const resident of waiting.slice(0, Math.ceil(this.options.limits.concurrency / 10))) resident.source?.park()
  }
  #roomMadeAt = Number.NEGATIVE_INFINITY

  /**
   * Proves what hints only promise: handlers that wait for a message, or have been at something since the call before, which a cancel is to reach, have
   * their runs loaded again, in turn, at most `limit` a call. To be called by the worker's slow cycle.
   */
  proveMessages(limit: number): void {
    this.#blocked.lookAtAll()
    const waiting: Array<Resident> = []
    for (const resident of this.#residents.values()) {
      if (!resident.handling || resident.evicted) continue
      if (resident.lasts || resident.attempt?.expectsMessage === true) waiting.push(resident)
      resident.lasts = true
    }
    for (let i = 0; i < Math.min(limit, waiting.length); i++) {
      const resident = waiting[(this.#proved + i) % waiting.length]
      resident?.shard.reload([resident.address])
    }
    this.#proved += limit
  }
  #proved = 0

  /** For a test that moves the store's clock: is anything under way, and when does a handler want to be woken? */
  quiet(): { readonly resting: boolean; readonly nextWake: number; readonly executing: number } {
    const blocked = this.#blocked.quiet()
    let nextWake = blocked.nextDue
    let resting = !this.#forwarder.busy && blocked.resting
    let count = this.#blocked.size
    for (const { executing, attempt } of this.#residents.values()) {
      if (executing === undefined) continue
      count++
      if (attempt?.resting !== true) resting = false
      for (const wait of attempt?.waits ?? []) nextWake = Math.min(nextWake, wait.due)
    }
    return { resting, nextWake, executing: count }
  }

  /** The store's clock was moved: waits for a time are looked at again. */
  timeMoved(): void {
    this.#blocked.lookAtAll()
    for (const { attempt } of this.#residents.values())
      for (const wait of attempt === undefined ? [] : Array.from(attempt.waits)) wait.check()
  }

  onTerminated(shard: OwnedShard, address: Address, run: string): void {
    if (this.#blocked.drop(address)) this.#executingOf(shard.shard).delete(address)
    const resident = this.#residents.get(address)
    // the sweep found no record at all: it has no run id to give
    if (resident === undefined || (run !== "" && resident.run !== run)) return
    const reason = `the run ${run} of ${address} was terminated by a client.`
    this.#evict(resident, new Deposed(reason))
    resident.attempt?.abandon(reason)
  }

  onOutbox(shard: OwnedShard): void {
    this.#forwarder.send(shard)
  }

  attemptOf(address: Address, run: string): Attempt | undefined {
    const resident = this.#residents.get(address)
    return resident?.run === run ? resident.attempt : undefined
  }

  /** A try tells how it is. */
  onBeat(shard: OwnedShard, beat: Beat): void {
    // volatile: it will be told again
    hearTry({ options: this.options, attemptOf: (address, run) => this.attemptOf(address, run) }, shard, beat).catch(() => undefined)
  }

  onRequest(shard: OwnedShard, text: string): void {
    const { engine, pool } = this.options
    void (async () => {
      const request = JSON.parse(text) as Request
      if (request.type === "beat") return this.onBeat(shard, request.beat)
      const answer = await this.#answer(shard, request)
      if (answer !== undefined) await engine.publish(pool, request.reply, `${request.id} ${JSON.stringify(answer)}`)
      // a query that fails in transport is asked again by its client
    })().catch(() => undefined)
  }

  async #answer(shard: OwnedShard, request: Exclude<Request, { type: "beat" }>): Promise<object | undefined> {
    const { engine, pool, kinds } = this.options
    if (request.type === "activities") return this.attemptOf(request.address, request.run)?.pendingActivities() ?? []
    if (request.type !== "query") return undefined
    const [run] = await engine.read(pool, [{ shard: shard.shard, address: request.address }])
    if (!shard.trusted()) return undefined
    const { kind: name, key } = splitAddress(request.address)
    const kind = kinds.get(name)
    if (kind === undefined) return undefined
    if (run === undefined) return { absent: true }
    const present = kind.definition.queries[request.name]?.live === true ? this.#presentOf(run) : undefined
    return answerQuery(kind, { key, run: run.run, body: parseBody(run.body), present }, request.name, request.input, shard.now())
  }

  /** Of a handler that runs here. */
  #presentOf({ address, run }: { readonly address: Address; readonly run: string }): Present | undefined {
    const resident = this.#residents.get(address)
    return resident?.run === run && !resident.evicted ? resident.source?.present : undefined
  }

  async giveUp(shard: OwnedShard, reason: GiveUpReason): Promise<void> {
    const why = (shard.abortSignal.reason as Error | undefined) ?? new Deposed(`shard ${shard.shard} was given up (${reason}).`)
    for (const address of this.#blocked.leave(shard)) this.#executingOf(shard.shard).delete(address)
    this.#shares.abort(shard, why)
    const leaving: Array<Promise<void>> = []
    for (const resident of this.#residents.values()) {
      if (resident.shard !== shard) continue
      resident.next = undefined
      this.#evict(resident, why)
      if (resident.executing !== undefined) leaving.push(resident.executing)
    }
    await Promise.all(leaving)
    await this.#shares.close(shard, why)
  }

  /** Runs that have not settled, for the report at a deadline. */
  unsettled(): ReadonlyArray<{ readonly kind: string; readonly key: string; readonly run: string }> {
    return [...this.#residents.values()]
      .filter((resident) => resident.executing !== undefined)
      .map(({ kind, key, run }) => ({ kind: kind.kind, key, run }))
  }
}
