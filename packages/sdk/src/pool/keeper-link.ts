/**
 * How a session gets its keeper: one in the lease thread of its store (keeper-thread.ts), which all sessions of the process share, or one in the
 * main loop, where there is nothing for a thread to open or a test brings its own clock.
 *
 * The thread holds nobody alive, and ends with its last session. When it dies its sessions are deposed at once and join again with a new one;
 * a thread that hangs is ended by them (trust.ts, U3), and until then trust ends by its own clock.
 */
import { Worker } from "node:worker_threads"
import type { Engine, LifeOptions, Presence } from "../engine/engine.ts"
import { originOf, type Origin } from "../engine/open.ts"
import { ThreadHold } from "../engine/thread-hold.ts"
import { PonosError, StoreFault } from "../errors.ts"
import { sharedOffset } from "./clock.ts"
import type { BlockedLoop } from "./events.ts"
import { fromFailure, type Birth, type Report, type Request } from "./keeper-messages.ts"
import { Keeper, type KeeperCommands, type KeeperEvents, type KeeperSpec } from "./keeper.ts"
import { LeaseMemory } from "./lease-memory.ts"
import type { OnOverrun } from "./options.ts"

export interface LinkEvents extends KeeperEvents {
  /** The keeper is gone: nobody renews. */
  readonly onLost: (error: Error) => void
}

export interface KeeperLink {
  /** For `registerLife`; absent: the engine's own connections are all there are. */
  readonly renewals: LifeOptions["renewals"]
  /** Goes where renewals go: it must not queue behind data (S8). */
  readonly updateMember: Engine["updateMember"]
  /** Ms by which the keeper's clock is ahead of the session's. */
  readonly offset: number
  memory(sentAt: number): LeaseMemory
  keep(spec: KeeperSpec & { readonly onOverrun: OnOverrun }, memory: LeaseMemory, events: LinkEvents): KeeperCommands
  /** Ends a keeper that does not answer. */
  giveUp(why: string): void
  end(): Promise<void>
}

/** A thread that was asked to close has so long; its last call may hang on a lost store. */
const closeMs = 1_000
/** It makes little garbage: with V8's default it takes 5 to 7 MB more, of a worker's 32 over a process without one (`npm run bench -- pool`). */
const youngMb = 2

/** Source and build have the file beside each other under the extension that this one has. The name that bundlers look for is the build's. */
const source = "./keeper-thread.ts"
const entry = (): URL =>
  import.meta.url.endsWith(".ts") ? new URL(source, import.meta.url) : new URL("./keeper-thread.js", import.meta.url)

const inLoop = (engine: Engine, clock: () => number): KeeperLink => ({
  renewals: undefined,
  updateMember: (pool, member, from) => engine.updateMember(pool, member, from),
  offset: 0,
  memory: (sentAt) => LeaseMemory.make(false, sentAt),
  keep: (spec, memory, events) => new Keeper({ ...spec, engine, memory, clock, events, inLoop: true }),
  giveUp: () => {},
  end: async () => {},
})

type Renewals = NonNullable<LifeOptions["renewals"]>

/** The thread's connection for one pool. */
interface Followed extends Renewals {
  readonly asked: Promise<unknown>
  readonly listeners: Set<() => void>
  now: Presence | undefined
}

const setPresence = (followed: Followed, now: Presence | undefined): void => {
  followed.now = now
  for (const listener of followed.listeners) listener()
}

/** Those of this process, by the store that they keep. */
const threads = new Map<string, LeaseThread>()

class LeaseThread {
  readonly opened: Promise<void>
  /** Of those that use it, also when their session has ended in that block. */
  readonly onBlocked = new Set<(blocked: BlockedLoop) => void>()
  readonly onSuspended = new Set<(ms: number) => void>()
  readonly onWarning = new Set<(text: string) => void>()
  readonly #key: string
  readonly #worker: Worker
  readonly #hold: ThreadHold
  readonly #sessions = new Map<string, LinkEvents>()
  readonly #calls = new Map<number, { readonly resolve: (value: any) => void; readonly reject: (error: Error) => void }>()
  readonly #presence = new Map<string, Followed>()
  readonly #exited: Promise<void>
  #users = 0
  #lastCall = 0
  #why: Error | undefined

  constructor(key: string, { url, options }: Origin) {
    this.#key = key
    const birth: Birth = { url, options }
    // Nothing of the program's own preloads belongs there, and what it would warn of, the main thread has.
    this.#worker = new Worker(entry(), {
      workerData: birth,
      name: "ponos-lease",
      execArgv: ["--no-warnings"],
      resourceLimits: { maxYoungGenerationSizeMb: youngMb },
    })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.opened = promise
    this.#exited = new Promise((done) => {
      this.#worker.on("exit", () => {
        const error =
          this.#why ?? new StoreFault("the lease thread of this process ended by itself. Its sessions join again with a new one.")
        reject(error)
        this.#lost(error)
        done()
      })
    })
    this.#worker.on("error", (error) => (this.#why ??= error as Error))
    this.#worker.on("message", (report: Report) => {
      if (report.type === "ready") resolve()
      else if (report.type === "failed") this.#why = fromFailure(report.failure)
      else this.#handle(report)
    })
    this.#hold = new ThreadHold(this.#worker)
    this.#hold.during(promise).catch(() => {})
  }

  join(): this {
    this.#users++
    return this
  }

  async leave(): Promise<void> {
    if (--this.#users > 0) return
    this.#forget()
    this.#ask({ type: "close" })
    const timer = setTimeout(() => void this.#worker.terminate(), closeMs)
    await this.#hold.during(this.#exited)
    clearTimeout(timer)
  }

  giveUp(why: string): void {
    this.#why ??= new StoreFault(`the lease thread of this process does not answer: ${why}. Its sessions join again with a new one.`)
    this.#forget()
    void this.#worker.terminate()
  }

  #forget(): void {
    if (threads.get(this.#key) === this) threads.delete(this.#key)
  }

  /** A thread that is gone hears nothing, and its sessions are told so. */
  #ask(request: Request): void {
    this.#worker.postMessage(request)
  }

  #call(request: (call: number) => Request): Promise<any> {
    const call = ++this.#lastCall
    const { promise, resolve, reject } = Promise.withResolvers<any>()
    if (this.#why === undefined) {
      this.#calls.set(call, { resolve, reject })
      this.#ask(request(call))
    } else reject(this.#why)
    return this.#hold.during(promise)
  }

  updateMember(pool: string, session: string, record: string, from: string | undefined): Promise<boolean> {
    return this.#call((call) => ({ type: "update", call, pool, session, record, from })) as Promise<boolean>
  }

  /** Of the connection by which it renews sessions of the pool. */
  async follow(pool: string): Promise<Renewals> {
    const known = this.#presence.get(pool)
    if (known !== undefined) {
      await known.asked
      return known
    }
    const listeners = new Set<() => void>()
    const asked = this.#call((call) => ({ type: "follow", call, pool })) as Promise<Presence | undefined>
    const followed: Followed = {
      asked,
      listeners,
      now: undefined,
      current: () => followed.now,
      onChange: (listener) => {
        listeners.add(listener)
        return () => void listeners.delete(listener)
      },
    }
    this.#presence.set(pool, followed)
    // The thread may live on for other sessions: the next one of this pool asks again.
    asked.catch(() => this.#presence.delete(pool))
    followed.now = await asked
    return followed
  }

  keep(spec: KeeperSpec & { readonly onOverrun: OnOverrun }, memory: LeaseMemory, events: LinkEvents): KeeperCommands {
    const { session } = spec
    return {
      start: () => {
        this.#sessions.set(session, events)
        if (this.#why !== undefined) return events.onLost(this.#why)
        this.#ask({ type: "keep", ...spec, memory: memory.buffer as SharedArrayBuffer })
      },
      stop: () => {
        if (this.#sessions.delete(session)) this.#ask({ type: "stop", session })
      },
      setPeers: (peers) => this.#ask({ type: "peers", session, peers }),
      setLife: (life) => this.#ask({ type: "life", session, life }),
      renewNow: () => this.#ask({ type: "renew", session }),
      handled: (what) => this.#ask({ type: "handled", session, what }),
    }
  }

  #lost(error: Error): void {
    this.#why ??= error
    this.#forget()
    for (const { reject } of this.#calls.values()) reject(error)
    this.#calls.clear()
    for (const followed of this.#presence.values()) setPresence(followed, undefined)
    const lost = [...this.#sessions.values()]
    this.#sessions.clear()
    for (const events of lost) events.onLost(error)
  }

  #handle(report: Exclude<Report, { readonly type: "ready" | "failed" }>): void {
    switch (report.type) {
      case "answer":
        this.#calls.get(report.call)?.resolve(report.value)
        return void this.#calls.delete(report.call)
      case "refusal":
        this.#calls.get(report.call)?.reject(fromFailure(report.failure))
        return void this.#calls.delete(report.call)
      case "presence": {
        const followed = this.#presence.get(report.pool)
        return followed === undefined ? undefined : setPresence(followed, report.presence)
      }
      case "blocked":
        for (const listener of this.onBlocked) listener(report.blocked)
        return
      case "suspended":
        for (const listener of this.onSuspended) listener(report.ms)
        return
      case "warning": {
        // Once for the process, whoever tells it.
        const [first] = this.onWarning
        return first?.(report.text)
      }
      default: {
        const events = this.#sessions.get(report.session)
        if (events !== undefined) dispatch(report, events)
      }
    }
  }
}

const dispatch = (report: Extract<Report, { readonly session: string }>, events: LinkEvents): void => {
  switch (report.type) {
    case "reading":
      return events.onReading(report.reading, report.at)
    case "abort":
      return events.onAbort(report.why)
    case "depose":
      return events.onDepose(report.why)
    case "resume":
      return events.onResume()
    case "markedDead":
      return events.onMarkedDead(report.other, report.by)
    case "markRefused":
      return events.onMarkRefused()
    case "store":
      return events.onStore(report.failure === undefined ? undefined : fromFailure(report.failure))
    case "dead":
      return events.onDead()
  }
}

const inThread = async (origin: Origin, { pool, onBlocked, onSuspended, warn }: LinkOptions): Promise<KeeperLink> => {
  const key = JSON.stringify([origin.url, origin.options])
  const known = threads.get(key) ?? new LeaseThread(key, origin)
  threads.set(key, known)
  const thread = known.join()
  try {
    await thread.opened
    const renewals = await thread.follow(pool)
    thread.onBlocked.add(onBlocked)
    thread.onSuspended.add(onSuspended)
    thread.onWarning.add(warn)
    let left: Promise<void> | undefined
    return {
      renewals,
      updateMember: (of, { session, record }, from) => thread.updateMember(of, session, record, from),
      offset: sharedOffset(),
      memory: (sentAt) => LeaseMemory.make(true, sentAt),
      keep: (spec, memory, events) => thread.keep(spec, memory, events),
      giveUp: (why) => thread.giveUp(why),
      // Twice where a renewal finds a session gone that is about to be told that it has left: the thread serves others, too.
      end: () =>
        (left ??= thread.leave().then(() => {
          thread.onBlocked.delete(onBlocked)
          thread.onSuspended.delete(onSuspended)
          thread.onWarning.delete(warn)
        })),
    }
  } catch (error) {
    await thread.leave()
    throw error
  }
}

export interface LinkOptions {
  readonly engine: Engine
  readonly pool: string
  readonly clock: () => number
  /** False where a test brings its own clock. */
  readonly threaded: boolean
  readonly warn: (text: string) => void
  /** The loop of this process turns again. Without a thread nobody sees it. */
  readonly onBlocked: (blocked: BlockedLoop) => void
  /** This process stood still for so many ms, its threads too. Without a thread nobody sees it. */
  readonly onSuspended: (ms: number) => void
}

export const openKeeperLink = async (options: LinkOptions): Promise<KeeperLink> => {
  const { engine, clock, threaded, warn } = options
  const origin = threaded ? originOf(engine) : undefined
  if (origin === undefined) return inLoop(engine, clock)
  try {
    return await inThread(origin, options)
  } catch (error) {
    // The store's faults are told. Anything else says that no thread can be started here, as in a bundle that lacks its file.
    if (error instanceof PonosError) throw error
    warn(
      `the lease thread could not be started (${error instanceof Error ? error.message : String(error)}): leases are renewed in the event loop, and a ` +
        `program that blocks it is not ended (onOverrun). Deploy ${entry().pathname.split("/").at(-1) ?? ""} beside the file that has this code.`,
    )
    return inLoop(engine, clock)
  }
}
