/**
 * Keeps one connection to one server alive by replacing it, and repeats on the new one the calls that the old one left unanswered. Which
 * server that is, is asked before each connection (locate.ts): always the same, the primary that Sentinels name, or the one that has a
 * slot. A cluster has one link for each primary (cluster.ts). A process with workers has a second link for its renewals and what it needs
 * to see others die (lives.ts).
 */
import { PonosError } from "../../errors.ts"
import { Connection, type ServerInfo, unknownServer } from "./connection.ts"
import { isDown, isElsewhere, isPassing, type Redirect, toFault, unreachable } from "./faults.ts"
import type { Locator } from "./locate.ts"
import { pause, repeated, type Route } from "./repeat.ts"
import type { Script } from "./scripts.ts"
import { placeText, type Target } from "./url.ts"
import { Waiters } from "./waiters.ts"

export interface LinkOptions {
  readonly callTimeout: number
  readonly connectTimeout: number
  /** Connections, and waits for better times, do not keep the process alive: calls do. */
  readonly background?: boolean
}

/** Quick at first, for a blip or a restart; then gentle to a server that is down. */
const backoff = [0, 20, 50, 100, 200, 400, 800, 1000]

/** Before it is asked who serves, after a server said that its cluster is down. */
const downMs = 250
/** After which a server that has not answered a new connection is late. */
const handshakeMs = 1_000

export class Link implements Route {
  readonly #locator: Locator
  readonly #options: LinkOptions
  readonly #waiters = new Waiters()
  #connection: Connection | undefined
  /** To where a slot is moving that this link's server has: for single calls. */
  #detour: { readonly place: string; readonly opening: Promise<Connection | undefined> } | undefined
  #watch: NodeJS.Timeout | undefined
  #connecting = false
  closed = false
  lastError: unknown
  /** Told of a new connection before anybody may use it: restores subscriptions, asks who it is. */
  readonly #onConnected: Array<(connection: Connection) => Promise<void>> = []
  readonly #onChange: Array<(connection: Connection | undefined) => void> = []

  private constructor(locator: Locator, options: LinkOptions) {
    this.#locator = locator
    this.#options = options
  }

  /** Tries until `connectTimeout`: a Redis that is started together with the worker may take a moment. */
  static async open(locator: Locator, options: LinkOptions): Promise<Link> {
    const link = new Link(locator, options)
    const deadline = performance.now() + options.connectTimeout
    for (let attempt = 0; ; attempt++) {
      try {
        link.#use(await link.#connect(Math.max(1, deadline - performance.now())))
        return link
      } catch (error) {
        if (!isPassing(error)) throw toFault(locator.shown, error)
        const delay = backoff[Math.min(attempt + 1, backoff.length - 1)] ?? 0
        if (performance.now() + delay >= deadline) throw unreachable(locator.shown, options.connectTimeout, error)
        await pause(delay)
      }
    }
  }

  /** Connects by itself; calls wait for it. */
  static start(locator: Locator, options: LinkOptions): Link {
    const link = new Link(locator, options)
    // Not in this turn: who made it has something to say to its first connection.
    queueMicrotask(() => void link.#reconnect())
    return link
  }

  /** Of the server at hand; of the last one while there is none. */
  info: ServerInfo = unknownServer

  get shown(): string {
    return this.#locator.shown
  }

  get callTimeout(): number {
    return this.#options.callTimeout
  }

  get connection(): Connection | undefined {
    return this.#connection
  }

  onConnected(listener: (connection: Connection) => Promise<void>): void {
    this.#onConnected.push(listener)
  }

  /** Told of the connection that is in use from now on, and when it ended. */
  onChange(listener: (connection: Connection | undefined) => void): void {
    this.#onChange.push(listener)
  }

  run(script: Script, keys: ReadonlyArray<string>, args: ReadonlyArray<string>): Promise<unknown> {
    return repeated(this, "", (connection, timeout) => connection.run(script, keys, args, timeout))
  }

  command(name: string, args: ReadonlyArray<string>): Promise<unknown> {
    return repeated(this, "", (connection, timeout) => connection.command(name, args, timeout))
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    clearTimeout(this.#watch)
    this.#endDetour("the engine was closed")
    this.#connection?.destroy("the engine was closed")
    this.#waiters.wake()
  }

  connectionOf(): Connection | undefined {
    return this.#connection
  }

  failed(connection: Connection, error: unknown): void {
    this.lastError = error
    if (connection !== this.#connection) return
    if (isElsewhere(error)) connection.destroy(error instanceof Error ? error.message : "refused")
    // It may be a minority, whose majority has another primary by now.
    else if (isDown(error)) this.#look(connection, downMs)
  }

  changed(_key: string, ms: number): Promise<void> {
    return this.#waiters.wait(ms)
  }

  asked({ host, port }: Redirect, { target }: Connection, ms: number): Promise<Connection | undefined> {
    const there: Target = { ...target, host: host || target.host, port }
    const place = placeText(there)
    // Also while it is being made: calls that are sent there in one turn share it.
    if (this.#detour?.place === place) return this.#detour.opening
    this.#endDetour("the slot moves elsewhere")
    const opening = Connection.open(there, ms).then(
      (connection) => this.#held(connection),
      (error: unknown) => void (this.lastError = error),
    )
    const detour = { place, opening }
    this.#detour = detour
    const end = (): void => {
      if (this.#detour === detour) this.#detour = undefined
    }
    void detour.opening.then((connection) => (connection === undefined ? end() : connection.onLost(end)))
    return detour.opening
  }

  #endDetour(why: string): void {
    void this.#detour?.opening.then((connection) => connection?.destroy(why))
    this.#detour = undefined
  }

  #held(connection: Connection): Connection {
    if (this.#options.background === true) connection.unref()
    return connection
  }

  async #connect(timeout: number): Promise<Connection> {
    const deadline = performance.now() + timeout
    const target = await this.#locator.locate(timeout)
    const connection = this.#held(await this.#openAt(target, Math.max(1, deadline - performance.now())))
    if (connection.info.primary || !this.#locator.primaryOnly) return connection
    connection.destroy("a replica")
    throw new Error(`READONLY ${target.shown} is a replica`)
  }

  /** A server that hangs takes connections, and does not answer them: it is not waited for when another one is named meanwhile. */
  async #openAt(target: Target, timeout: number): Promise<Connection> {
    const elsewhere = new AbortController()
    const timer = setInterval(() => {
      this.#locator.locate(timeout).then(
        (now) => placeText(now) !== placeText(target) && elsewhere.abort(`the primary is now ${now.shown}`),
        () => {},
      )
    }, this.#locator.locateMs ?? handshakeMs).unref()
    try {
      return await Connection.open(target, timeout, elsewhere.signal)
    } finally {
      clearInterval(timer)
    }
  }

  #use(connection: Connection): void {
    this.info = connection.info
    this.#connection = connection
    for (const listener of this.#onChange) listener(connection)
    connection.onLost((error) => {
      if (this.#connection === connection) this.#connection = undefined
      this.lastError = error
      for (const listener of this.#onChange) listener(undefined)
      void this.#reconnect()
    })
    this.#look(connection)
    this.#waiters.wake()
  }

  /** A server that hangs, or is cut off with this process on its side, never says that another one took its place. */
  #look(connection: Connection, ms = this.#locator.locateMs): void {
    clearTimeout(this.#watch)
    if (ms === undefined || this.closed || this.#connection !== connection) return
    this.#watch = setTimeout(() => {
      this.#locator.locate(this.#options.connectTimeout).then(
        (target) => {
          if (placeText(target) !== placeText(connection.target)) connection.destroy(`the primary is now ${target.shown}`)
          else this.#look(connection)
        },
        () => this.#look(connection),
      )
    }, ms)
    if (this.#options.background === true) this.#watch.unref()
  }

  async #reconnect(): Promise<void> {
    if (this.#connecting || this.closed) return
    this.#connecting = true
    for (let attempt = 0; !this.closed && !this.#connection; attempt++) {
      const delay = backoff[Math.min(attempt, backoff.length - 1)] ?? 0
      if (delay > 0) await pause(delay, this.#options.background)
      if (this.closed) break
      try {
        const connection = await this.#connect(this.#options.connectTimeout)
        await Promise.all(this.#onConnected.map((listener) => listener(connection))).catch((error: unknown) => {
          connection.destroy("subscriptions could not be restored")
          throw error
        })
        if (this.closed) connection.destroy("the engine was closed")
        else this.#use(connection)
      } catch (error) {
        // Whatever it was, also a refused login or an older server: the verbs that wait report it at their deadline.
        this.lastError = error instanceof PonosError ? new Error(error.message) : error
      }
    }
    this.#connecting = false
    // Lost again between `#use` and here.
    if (!this.#connection && !this.closed) void this.#reconnect()
  }
}
