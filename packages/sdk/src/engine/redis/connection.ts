/**
 * One life of one connection (B4): made, checked, used, destroyed; never reconnected, never queued while offline. A call that is not
 * answered in time ends the connection, because its answer could otherwise be taken for that of a later call's retry.
 *
 * Hints travel here too: under RESP3 a connection takes commands beside SSUBSCRIBE, and a hint then cannot overtake the reply of the
 * pull sent before it (W2). Measured against a second connection for hints, at 500 starts a second: start → hint p50 0.23 and 0.24 ms,
 * start → taken p50 0.43 and 0.47 ms, so that the safer way is not the slower one.
 */
import type { Socket } from "node:net"
import { Command, Redis } from "ioredis"
import { StoreUnsupported } from "../../errors.ts"
import { ConnectionLost, isNoScript } from "./faults.ts"
import { type Script, scripts } from "./scripts.ts"
import type { Target } from "./url.ts"
import { ScriptCall } from "./wire.ts"

export interface ServerInfo {
  readonly version: string
  readonly runId: string
  readonly cluster: boolean
  readonly policy: string
  /** False: a replica of another server. */
  readonly primary: boolean
}

export const unknownServer: ServerInfo = { version: "", runId: "", cluster: false, policy: "", primary: true }

export function parseInfo(text: string): ServerInfo {
  const fields = new Map(text.split(/\r?\n/).map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]))
  const get = (name: string) => fields.get(name) ?? ""
  // Redis reports itself as loading in INFO before it refuses commands with the same word.
  if (get("loading") === "1") throw new Error("LOADING Redis is loading the dataset in memory")
  return {
    version: get("redis_version"),
    runId: get("run_id"),
    cluster: get("cluster_enabled") === "1",
    policy: get("maxmemory_policy"),
    primary: get("role") !== "slave",
  }
}

export function checkVersion(shown: string, info: ServerInfo): void {
  if (Number.parseInt(info.version, 10) >= 7) return
  const got = info.version === "" ? "a server that does not say its version" : `Redis ${info.version}`
  throw new StoreUnsupported(
    `expected ${shown} to be Redis 7 or newer, or Valkey, got: ${got}. Ponos needs its sharded channels and script flags.`,
  )
}

/** A call that is under way, between the one that was sent before it and the next one. */
interface Pending {
  readonly timeout: number
  readonly until: number
  reject: ((error: Error) => void) | undefined
  before: Pending | undefined
  after: Pending | undefined
}

export class Connection {
  readonly #redis: Redis
  /** Of the calls under way. They are a list of their own: a `Set` keeps for long what it once had (short-lived.ts), and with it the answers. */
  #oldest: Pending | undefined
  #newest: Pending | undefined
  #timer: NodeJS.Timeout | undefined
  /** When the timer looks for calls that are not answered in time. */
  #timerAt = Number.POSITIVE_INFINITY
  #lost: Error | undefined
  #gathering = false
  #onLost: ((error: Error) => void) | undefined
  readonly target: Target
  info: ServerInfo = unknownServer

  private constructor(target: Target, timeout: number, name?: string) {
    this.target = target
    this.#redis = new Redis({
      host: target.host,
      port: target.port,
      db: target.db,
      ...(target.username === undefined ? {} : { username: target.username }),
      ...(target.password === undefined ? {} : { password: target.password }),
      ...(target.tls ? { tls: { ...target.tls, ...(target.servername === undefined ? {} : { servername: target.servername }) } } : {}),
      ...(name === undefined ? {} : { connectionName: name }),
      connectTimeout: timeout,
      lazyConnect: true,
      retryStrategy: null,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      // The handshake below asks INFO itself.
      enableReadyCheck: false,
      disableClientInfo: true,
    })
    // The first error is the cause; what follows only says that the connection is closed.
    this.#redis.on("error", (error: Error) => this.#end(error))
    this.#redis.on("end", () => this.#end(new ConnectionLost("the connection was closed")))
  }

  /** Connects and checks; the scripts are loaded before the connection is given out. Given up when `abort` fires. */
  static open(target: Target, timeout: number, abort?: AbortSignal): Promise<Connection> {
    return Connection.#made(new Connection(target, timeout, "ponos"), async (connection) => {
      const give = (): void => connection.destroy(String(abort?.reason))
      abort?.addEventListener("abort", give)
      try {
        await connection.#handshake(target, timeout)
      } finally {
        abort?.removeEventListener("abort", give)
      }
    })
  }

  /** Only to ask something: a Sentinel, or any node of a cluster. Without a name, which a Sentinel's user would need a right for. */
  static plain(target: Target, timeout: number): Promise<Connection> {
    return Connection.#made(new Connection(target, timeout), (connection) => connection.#bounded(connection.#redis.connect(), timeout))
  }

  static async #made(connection: Connection, begin: (connection: Connection) => Promise<void>): Promise<Connection> {
    try {
      await begin(connection)
      return connection
    } catch (error) {
      // ioredis says "Connection is closed" where the event before it had the reason.
      const cause = connection.#lost ?? error
      connection.destroy("the handshake failed")
      throw cause
    }
  }

  async #handshake(target: Target, timeout: number): Promise<void> {
    await this.#bounded(this.#redis.connect(), timeout)
    // In one round trip: the sooner a lost connection is replaced, the surer nobody is taken for dead (S8).
    const info = this.command("info", [], timeout)
    const loaded = Promise.all(Object.values(scripts).map((script) => this.command("script", ["LOAD", script.source], timeout)))
    // An old server refuses the scripts too; what to say of it is in its version.
    loaded.catch(() => {})
    this.info = parseInfo(String(await info))
    checkVersion(target.shown, this.info)
    await loaded
  }

  /** This end as its system names it, in the form in which Redis names the other one; "" once the socket is closed. */
  get localAddress(): string {
    const { localAddress = "", localPort = 0 } = (this.#redis.stream ?? {}) as { localAddress?: string; localPort?: number }
    const host = localAddress.replace(/^::ffff:/, "")
    return host === "" ? "" : `${host.includes(":") ? `[${host}]` : host}:${localPort}`
  }

  /** It no longer keeps the process alive by itself: the deadlines of calls under way do. */
  unref(): void {
    ;(this.#redis.stream as Socket | undefined)?.unref()
  }

  /** Called once, when the connection ended for whatever reason. */
  onLost(listener: (error: Error) => void): void {
    if (this.#lost) listener(this.#lost)
    else this.#onLost = listener
  }

  onMessage(listener: (channel: string, text: string) => void): void {
    this.#redis.on("smessage", listener)
  }

  /** Told when the server ended a subscription itself: the channel's slot moved to another server. */
  onMoved(listener: () => void): void {
    this.#redis.on("moved", listener)
  }

  /** Sends at once, so that calls made in one turn stay in order; fails with `ConnectionLost` after `timeout` ms. */
  command(name: string, args: ReadonlyArray<string>, timeout: number): Promise<unknown> {
    if (this.#lost) return Promise.reject(this.#lost)
    return this.#send(new Command(name, [...args], { replyEncoding: "utf8" }), timeout)
  }

  #send(command: Command, timeout: number): Promise<unknown> {
    this.#gather()
    return this.#bounded(this.#redis.sendCommand(command) as Promise<unknown>, timeout)
  }

  run(script: Script, keys: ReadonlyArray<string>, args: ReadonlyArray<string>, timeout: number): Promise<unknown> {
    if (this.#lost) return Promise.reject(this.#lost)
    return this.#send(new ScriptCall(script.sha1, keys, args), timeout).catch(async (error: unknown) => {
      // SCRIPT FLUSH, or a failover to a server that never saw the script.
      if (!isNoScript(error)) throw error
      await this.command("script", ["LOAD", script.source], timeout)
      if (this.#lost) throw this.#lost
      return await this.#send(new ScriptCall(script.sha1, keys, args), timeout)
    })
  }

  /** What is sent in one turn goes to the system in one write. */
  #gather(): void {
    const { stream } = this.#redis
    if (this.#gathering || stream === undefined) return
    this.#gathering = true
    stream.cork()
    process.nextTick(() => {
      this.#gathering = false
      stream.uncork()
    })
  }

  destroy(why: string): void {
    this.#end(new ConnectionLost(why))
  }

  #bounded<T>(reply: Promise<T>, timeout: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const pending: Pending = { timeout, until: performance.now() + timeout, reject, before: this.#newest, after: undefined }
      if (this.#newest === undefined) this.#oldest = pending
      else this.#newest.after = pending
      this.#newest = pending
      if (pending.until < this.#timerAt) this.#look(pending.until)
      reply.then(
        (value) => {
          this.#answered(pending)
          resolve(value)
        },
        (error: Error) => {
          this.#answered(pending)
          if (error.name === "ReplyError") return reject(error)
          // Anything else comes from a dying socket, which may refuse writes before it says that it is closed.
          this.#end(error)
          reject(this.#lost ?? error)
        },
      )
    })
  }

  #answered(pending: Pending): void {
    const { before, after } = pending
    if (before === undefined) this.#oldest = after
    else before.after = after
    if (after === undefined) this.#newest = before
    else after.before = before
    // whatever still knows it knows nothing of others by it
    pending.reject = pending.before = pending.after = undefined
  }

  /** One timer for all calls: nearly all of them are answered long before it looks. */
  #look(at: number): void {
    clearTimeout(this.#timer)
    this.#timerAt = at
    // It may come a fraction of a millisecond early.
    this.#timer = setTimeout(
      () => {
        this.#timerAt = Number.POSITIVE_INFINITY
        const now = performance.now()
        let next = Number.POSITIVE_INFINITY
        for (let one = this.#oldest; one !== undefined; one = one.after) {
          if (one.until <= now) return this.#end(new ConnectionLost(`no answer within ${Math.round(one.timeout)} ms`))
          next = Math.min(next, one.until)
        }
        if (next < Number.POSITIVE_INFINITY) this.#look(next)
      },
      Math.max(1, at - performance.now() + 1),
    )
  }

  #end(error: Error): void {
    if (this.#lost) return
    clearTimeout(this.#timer)
    const lost =
      error instanceof ConnectionLost || error.name === "ReplyError"
        ? error
        : new ConnectionLost(error.message || String((error as NodeJS.ErrnoException).code))
    this.#lost = lost
    // `disconnect` ends the socket politely and waits for a peer that may never answer.
    this.#redis.disconnect()
    this.#redis.stream?.destroy()
    for (let one = this.#oldest; one !== undefined; one = one.after) one.reject?.(lost)
    this.#onLost?.(lost)
  }
}
