/**
 * Keeps one connection to one server alive by replacing it, and repeats on the new one the calls that the old one left unanswered: all
 * verbs are safe to repeat (E3). On a cluster there will be one link per primary; `Links.of(shard)` in redis-engine.ts is the seam.
 * A process with workers has a second link for its renewals and what it needs to see others die (lives.ts).
 */
import { PonosError } from "../../errors.ts"
import { Connection, type ServerInfo } from "./connection.ts"
import { closedFault, ConnectionLost, isElsewhere, isPassing, toFault, unavailable, unreachable } from "./faults.ts"
import type { Script } from "./scripts.ts"
import type { Target } from "./url.ts"

export interface LinkOptions {
  readonly callTimeout: number
  readonly connectTimeout: number
}

/** Quick at first, for a blip or a restart; then gentle to a server that is down. */
const backoff = [0, 20, 50, 100, 200, 400, 800, 1000]
/** Between repetitions of a call that the server refused for the moment. */
const refusedPause = 50

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms))

export class Link {
  readonly #target: Target
  readonly #options: LinkOptions
  readonly #waiting = new Set<() => void>()
  #connection: Connection | undefined
  #connecting = false
  #closed = false
  #lastError: unknown
  /** Told of a new connection before anybody may use it: restores subscriptions, asks who it is. */
  readonly #onConnected: Array<(connection: Connection) => Promise<void>> = []
  readonly #onChange: Array<(connection: Connection | undefined) => void> = []

  private constructor(target: Target, options: LinkOptions) {
    this.#target = target
    this.#options = options
  }

  /** Tries until `connectTimeout`: a Redis that is started together with the worker may take a moment. */
  static async open(target: Target, options: LinkOptions): Promise<Link> {
    const link = new Link(target, options)
    const deadline = performance.now() + options.connectTimeout
    for (let attempt = 0; ; attempt++) {
      try {
        link.#use(await Connection.open(target, Math.max(1, deadline - performance.now())))
        return link
      } catch (error) {
        if (!isPassing(error)) throw toFault(target.shown, error)
        const delay = backoff[Math.min(attempt + 1, backoff.length - 1)] ?? 0
        if (performance.now() + delay >= deadline) throw unreachable(target.shown, options.connectTimeout, error)
        await pause(delay)
      }
    }
  }

  /** Of the server at hand; of the last one while there is none. */
  info: ServerInfo = { version: "", runId: "", cluster: false, policy: "" }

  onConnected(listener: (connection: Connection) => Promise<void>): void {
    this.#onConnected.push(listener)
  }

  /** Told of the connection that is in use from now on, and when it ended. */
  onChange(listener: (connection: Connection | undefined) => void): void {
    this.#onChange.push(listener)
  }

  get connection(): Connection | undefined {
    return this.#connection
  }

  run(script: Script, keys: ReadonlyArray<string>, args: ReadonlyArray<string>): Promise<unknown> {
    return this.#repeat((connection, timeout) => connection.run(script, keys, args, timeout))
  }

  command(name: string, args: ReadonlyArray<string>): Promise<unknown> {
    return this.#repeat((connection, timeout) => connection.command(name, args, timeout))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#connection?.destroy("the engine was closed")
    this.#wake()
  }

  async #repeat(call: (connection: Connection, timeout: number) => Promise<unknown>): Promise<unknown> {
    const { callTimeout } = this.#options
    const deadline = performance.now() + callTimeout
    for (;;) {
      if (this.#closed) throw closedFault(this.#target.shown)
      const left = deadline - performance.now()
      if (left <= 0) throw unavailable(this.#target.shown, callTimeout, this.#lastError)
      const connection = this.#connection
      if (!connection) {
        await this.#connected(left)
        continue
      }
      try {
        // Half of the deadline, so that a connection that died silently leaves time for another one.
        return await call(connection, Math.min(left, callTimeout / 2))
      } catch (error) {
        if (!isPassing(error)) throw toFault(this.#target.shown, error)
        this.#lastError = error
        if (isElsewhere(error)) connection.destroy(error instanceof Error ? error.message : "refused")
        else if (!(error instanceof ConnectionLost)) await pause(Math.min(refusedPause, Math.max(0, deadline - performance.now())))
      }
    }
  }

  #connected(timeout: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, timeout)
      this.#waiting.add(done)
    })
  }

  #wake(): void {
    for (const done of this.#waiting) done()
  }

  #use(connection: Connection): void {
    this.info = connection.info
    this.#connection = connection
    for (const listener of this.#onChange) listener(connection)
    connection.onLost((error) => {
      if (this.#connection === connection) this.#connection = undefined
      this.#lastError = error
      for (const listener of this.#onChange) listener(undefined)
      void this.#reconnect()
    })
    this.#wake()
  }

  async #reconnect(): Promise<void> {
    if (this.#connecting || this.#closed) return
    this.#connecting = true
    for (let attempt = 0; !this.#closed && !this.#connection; attempt++) {
      const delay = backoff[Math.min(attempt, backoff.length - 1)] ?? 0
      if (delay > 0) await pause(delay)
      if (this.#closed) break
      try {
        const connection = await Connection.open(this.#target, this.#options.connectTimeout)
        await Promise.all(this.#onConnected.map((listener) => listener(connection))).catch((error: unknown) => {
          connection.destroy("subscriptions could not be restored")
          throw error
        })
        if (this.#closed) connection.destroy("the engine was closed")
        else this.#use(connection)
      } catch (error) {
        // Whatever it was, also a refused login or an older server: the verbs that wait report it at their deadline.
        this.#lastError = error instanceof PonosError ? new Error(error.message) : error
      }
    }
    this.#connecting = false
    // Lost again between `#use` and here.
    if (!this.#connection && !this.#closed) void this.#reconnect()
  }
}
