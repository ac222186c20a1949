/**
 * The engine of a file from outside of its thread (S9): each verb is a message to engine-thread.ts and its answer, so that a transaction, which
 * blocks its thread for up to 5 ms, and a checkpoint, which may take longer, stop no timer and no job of the main loop.
 *
 * All engines of this process on one file share a thread: on two threads their writers would meet at the file's lock, where the second waits
 * milliseconds for what took the first one microseconds. Measured figures: docs/decisions/0007-sqlite-thread.md.
 */
import { setImmediate } from "node:timers"
import { Worker } from "node:worker_threads"
import { StoreFault } from "../../errors.ts"
import type { Engine, EngineOptions, Life, LifeHandle, LifeOptions, Unsubscribe } from "../engine.ts"
import { ThreadHold } from "../thread-hold.ts"
import { ShortLivedMap } from "../short-lived.ts"
import { closedFault } from "./faults.ts"
import { Outbox } from "./outbox.ts"
import { fromFailure, listening, verbs, type Listening, type Report, type Request, type Verb } from "./thread-messages.ts"

/** Source and build have the file beside each other under the extension that this one has. The name that bundlers look for is the build's. */
const source = "./engine-thread.ts"
export const threadFile = (): string => entry().pathname.split("/").at(-1) ?? ""
const entry = (): URL =>
  import.meta.url.endsWith(".ts") ? new URL(source, import.meta.url) : new URL("./engine-thread.js", import.meta.url)

type Listener = (value: unknown) => void
interface Waiting {
  readonly resolve: (value: any) => void
  readonly reject: (error: Error) => void
}
type Unsent<R> = R extends Request ? Omit<R, "call"> : never

/** Those of this process, by the path of their file. */
const threads = new Map<string, EngineThread>()

class EngineThread {
  readonly #path: string
  readonly #worker: Worker
  readonly #hold: ThreadHold
  readonly #outbox: Outbox<Request>
  readonly #waiting = new ShortLivedMap<number, Waiting>()
  readonly #listeners = new Map<number, Listener>()
  readonly #warn = new Map<number, (text: string) => void>()
  #users = 0
  #last = 0
  /** It has answered: what ends it then is no matter of starting it. */
  #started = false
  #ended: Error | undefined

  private constructor(path: string) {
    this.#path = path
    // Nothing of the program's own preloads belongs there, and what it would warn of, the main thread has.
    this.#worker = new Worker(entry(), { name: "ponos-sqlite", execArgv: ["--no-warnings"] })
    this.#outbox = new Outbox((requests) => this.#worker.postMessage(requests), setImmediate)
    this.#worker.on("message", (reports: ReadonlyArray<Report>) => reports.forEach((report) => this.#handle(report)))
    this.#worker.on("error", (error) => this.#end(error as Error))
    this.#worker.on("exit", () => this.#end(undefined))
    this.#hold = new ThreadHold(this.#worker)
  }

  static join(path: string): EngineThread {
    let thread = threads.get(path)
    if (thread === undefined) threads.set(path, (thread = new EngineThread(path)))
    thread.#users++
    return thread
  }

  async leave(engine: number): Promise<void> {
    this.#warn.delete(engine)
    if (--this.#users > 0) return
    this.#forget()
    // Calls that nobody waited for may be answered meanwhile, or never.
    await this.#hold.during(this.#worker.terminate())
  }

  next(): number {
    return ++this.#last
  }

  listen(number: number, listener: Listener): void {
    this.#listeners.set(number, listener)
  }

  unlisten(number: number): void {
    this.#listeners.delete(number)
  }

  warnings(engine: number, warn: (text: string) => void): void {
    this.#warn.set(engine, warn)
  }

  call<Value>(request: Unsent<Request>): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended)
      const call = ++this.#last
      // Listening holds nobody.
      this.#hold.begin()
      this.#waiting.set(call, { resolve, reject })
      this.#outbox.say({ ...request, call } as Request)
    })
  }

  #handle(report: Report): void {
    this.#started = true
    switch (report.type) {
      case "answer":
        return this.#settle(report.call)?.resolve(report.value)
      case "failure":
        return this.#settle(report.call)?.reject(fromFailure(report.error))
      case "heard":
        return this.#listeners.get(report.listener)?.(report.value)
      case "warning":
        return this.#warn.get(report.engine)?.(report.text)
    }
  }

  #settle(call: number): Waiting | undefined {
    const waiting = this.#waiting.get(call)
    if (this.#waiting.delete(call)) this.#hold.end()
    return waiting
  }

  #forget(): void {
    if (threads.get(this.#path) === this) threads.delete(this.#path)
  }

  #fault(cause: Error | undefined): Error {
    const why = cause === undefined ? "" : ` (${cause.message})`
    return new StoreFault(
      `the thread of file:${this.#path} ended by itself${why}. Open the store again; what was under way may have been written.`,
      { path: this.#path },
      cause,
    )
  }

  /** Whoever opens the file next gets a new thread. */
  #end(cause: Error | undefined): void {
    this.#forget()
    this.#ended ??= this.#started || cause === undefined ? this.#fault(cause) : cause
    for (const { reject } of this.#waiting.values()) reject(this.#ended)
    this.#waiting.clear()
  }
}

/** Throws what is no error of ours where no thread can be started, as in a bundle that lacks its file. */
export const openInThread = async (url: string, path: string, options: EngineOptions): Promise<Engine> => {
  const thread = EngineThread.join(path)
  const number = thread.next()
  const { now: _, onWarning, ...passed } = options
  const warn = onWarning ?? ((text: string): void => void process.stderr.write(`ponos: ${text}\n`))
  thread.warnings(number, warn)
  try {
    await thread.call({ do: "open", engine: number, url, options: passed })
  } catch (error) {
    await thread.leave(number)
    throw error
  }
  return new ThreadedEngine(url, thread, number, warn).engine()
}

class ThreadedEngine {
  readonly #url: string
  readonly #thread: EngineThread
  readonly #number: number
  readonly #warn: (text: string) => void
  readonly #listeners = new Set<number>()
  #closing: Promise<void> | undefined

  constructor(url: string, thread: EngineThread, number: number, warn: (text: string) => void) {
    this.#url = url
    this.#thread = thread
    this.#number = number
    this.#warn = warn
  }

  engine(): Engine {
    const call = (verb: Verb) => [verb, (...args: ReadonlyArray<unknown>) => this.#call(verb, args)]
    const listen = (verb: Listening) => [
      verb,
      (...args: ReadonlyArray<unknown>) => this.#listen(verb, args.slice(0, -1), args.at(-1) as Listener),
    ]
    return {
      driver: "sqlite",
      url: this.#url,
      spansShards: true,
      ...(Object.fromEntries(verbs.map(call)) as Pick<Engine, Verb>),
      ...(Object.fromEntries(listening.map(listen)) as unknown as Pick<Engine, Listening>),
      registerLife: (pool, session, options) => this.#live(pool, session, options),
      presence: async () => undefined,
      close: () => (this.#closing ??= this.#close()),
    }
  }

  #call<Value>(verb: Verb, args: ReadonlyArray<unknown>): Promise<Value> {
    if (this.#closing !== undefined) return Promise.reject(closedFault(this.#url))
    return this.#thread.call<Value>({ do: "verb", engine: this.#number, verb, args })
  }

  async #listen(verb: Listening, args: ReadonlyArray<unknown>, tell: Listener): Promise<Unsubscribe> {
    const end = this.#hear((value) => {
      try {
        tell(value)
      } catch (error) {
        const text = error instanceof Error ? error.stack : String(error)
        this.#warn(`a listener on the bus of ${this.#url} threw; it stays subscribed. ${text}`)
      }
    })
    await this.#begin(end, { do: "listen", engine: this.#number, verb, args, listener: end.listener })
    return end.now
  }

  async #live(pool: string, session: string, options: LifeOptions = {}): Promise<LifeHandle> {
    const end = this.#hear((value) => options.onChange?.(value as Life))
    const life = await this.#begin<Life>(end, { do: "live", engine: this.#number, pool, session, listener: end.listener })
    return { life, end: end.now }
  }

  #hear(tell: Listener): { readonly listener: number; readonly now: Unsubscribe } {
    const listener = this.#thread.next()
    this.#listeners.add(listener)
    this.#thread.listen(listener, tell)
    const now = async (): Promise<void> => {
      if (!this.#listeners.delete(listener)) return
      // From here on nothing is told, whatever is under way.
      this.#thread.unlisten(listener)
      if (this.#closing === undefined) await this.#thread.call({ do: "end", listener })
    }
    return { listener, now }
  }

  async #begin<Value>(end: { readonly listener: number }, request: Unsent<Request>): Promise<Value> {
    try {
      if (this.#closing !== undefined) throw closedFault(this.#url)
      return await this.#thread.call<Value>(request)
    } catch (error) {
      this.#listeners.delete(end.listener)
      this.#thread.unlisten(end.listener)
      throw error
    }
  }

  async #close(): Promise<void> {
    for (const listener of this.#listeners) this.#thread.unlisten(listener)
    this.#listeners.clear()
    try {
      await this.#thread.call({ do: "verb", engine: this.#number, verb: "close", args: [] })
    } catch {
      // The thread is gone, and the engine with it.
    }
    await this.#thread.leave(this.#number)
  }
}
