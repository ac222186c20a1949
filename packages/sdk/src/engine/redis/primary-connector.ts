/**
 * How connections of ioredis's own making (queue-connection.ts) reach the primary that Sentinels name: as the engine's links do. They share one question
 * to the Sentinels each second, and are closed when another server is named.
 *
 * ioredis's connector for Sentinels asks one Sentinel once. A primary that hung, and was replaced, was never left: calls waited for it, and when it came
 * back, were done by it, until it heard that it had become a replica and forgot them. Activities that were scheduled meanwhile never ran.
 */
import { connect as connectPlain, type Socket } from "node:net"
import { connect as connectTls } from "node:tls"
import { AbstractConnector, type RedisOptions } from "ioredis"
import { ConnectionLost } from "./faults.ts"
import type { Locator } from "./locate.ts"
import { pause } from "./repeat.ts"
import { placeText, type Target } from "./url.ts"

const askTimeout = 2_500
/** Between two tries to find out who the primary is. */
const retryMs = 200
/** After which a socket whose other end does not say goodbye is given up. */
const byeMs = 2_000

const connectTo = ({ host, port, tls, servername }: Target): Socket =>
  tls === undefined ? connectPlain({ host, port }) : connectTls({ host, port, ...tls, ...(servername === undefined ? {} : { servername }) })

/** Sockets to the primary, each until another server is named. */
export class PrimarySockets {
  readonly #locator: Locator & { close(): void }
  readonly #places = new Map<Socket, string>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(locator: Locator & { close(): void }) {
    this.#locator = locator
  }

  /** Tries as long as it is `wanted`. */
  async open(wanted: () => boolean): Promise<Socket> {
    while (wanted() && !this.#closed) {
      const target = await this.#locator.locate(askTimeout).catch(() => undefined)
      if (!wanted() || this.#closed) break
      if (target !== undefined) return this.#openAt(target)
      await pause(retryMs, true)
    }
    throw new ConnectionLost("the connection was closed")
  }

  #openAt(target: Target): Socket {
    const socket = connectTo(target)
    this.#places.set(socket, placeText(target))
    socket.once("close", () => this.#places.delete(socket))
    this.#watch()
    return socket
  }

  #watch(): void {
    if (this.#timer !== undefined || this.#closed || this.#places.size === 0) return
    this.#timer = setTimeout(() => void this.#look(), this.#locator.locateMs)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    const target = await this.#locator.locate(askTimeout).catch(() => undefined)
    // Without a goodbye, which who hangs does not answer.
    if (target !== undefined) for (const [socket, place] of this.#places) if (place !== placeText(target)) socket.destroy()
    this.#timer = undefined
    this.#watch()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const socket of this.#places.keys()) socket.destroy()
    this.#locator.close()
  }
}

/** The option by which ioredis connects with them: when its socket closes it makes another one, and sends again what was not answered. */
export const connectorOf = (sockets: PrimarySockets): NonNullable<RedisOptions["Connector"]> =>
  class extends AbstractConnector {
    constructor() {
      super(byeMs)
    }

    /** Where this rejects, ioredis does not try again. */
    async connect(): Promise<Socket> {
      this.connecting = true
      const socket = await sockets.open(() => this.connecting)
      socket.once("error", (error) => (this.firstError = error))
      this.stream = socket
      return socket
    }

    override check(info: { readonly role?: string }): boolean {
      return info.role !== "slave"
    }
  }
