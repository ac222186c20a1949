/**
 * A proxy between a worker and its store: the store then sees the proxy's address, not the worker's, and the way between them can fail. TCP never
 * duplicates; what it can do to a call is to bring it late, never, or to bring it and lose the reply.
 */
import { once } from "node:events"
import { connect, createServer, type AddressInfo, type Socket } from "node:net"

export type Direction = "toStore" | "toWorker"

/** Replies that shall be lost; several proxies may share it. */
export class Losses {
  left = 0
  /** How many were lost. */
  count = 0

  take(): boolean {
    if (this.left === 0) return false
    this.left--
    this.count++
    return true
  }
}

export interface TcpProxy {
  readonly port: number
  /** Ends of its connections to the store, as the store sees them. */
  readonly addresses: ReadonlyArray<string>
  /** Nothing goes through any more, and nobody is told; also of one direction only. What was sent meanwhile arrives after `heal`. */
  cut(direction?: Direction): void
  /** Everything arrives so much later. */
  slow(ms: number): void
  /** Closes all connections; new ones work. */
  drop(): void
  /** The next so many times that the store answers, the answer is lost with its connection: what it answers has happened. */
  loseReplies(count: number): void
  /** How many replies were lost. */
  readonly lost: number
  /** Ends `cut`, `slow` and `loseReplies`. */
  heal(): void
  close(): Promise<void>
}

/** One direction of one connection. */
class Way {
  readonly #from: Socket
  readonly #to: Socket
  readonly #queue: Array<{ readonly due: number; readonly chunk: Buffer | undefined }> = []
  #timer: NodeJS.Timeout | undefined
  delayMs = 0
  #isCut = false

  constructor(from: Socket, to: Socket, swallow: () => boolean) {
    this.#from = from
    this.#to = to
    from.on("data", (chunk: Buffer) => {
      if (swallow()) {
        from.destroy()
        return
      }
      this.#add(chunk)
    })
    from.on("end", () => this.#add(undefined))
  }

  #add(chunk: Buffer | undefined): void {
    this.#queue.push({ due: performance.now() + this.delayMs, chunk })
    this.#pump()
  }

  /** In order, each when it is due. */
  #pump(): void {
    if (this.#timer !== undefined) return
    while (!this.#isCut) {
      const [first] = this.#queue
      if (first === undefined) return
      const wait = first.due - performance.now()
      if (wait > 0) {
        this.#timer = setTimeout(() => {
          this.#timer = undefined
          this.#pump()
        }, wait)
        return
      }
      this.#queue.shift()
      if (first.chunk === undefined) this.#to.end()
      else if (!this.#to.destroyed) this.#to.write(first.chunk)
    }
  }

  set isCut(cut: boolean) {
    this.#isCut = cut
    if (cut) this.#from.pause()
    else this.#from.resume()
    this.#pump()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}

class Faults {
  readonly cut: Record<Direction, boolean> = { toStore: false, toWorker: false }
  delayMs = 0
  readonly ways = new Map<Way, Direction>()

  apply(): void {
    for (const [way, direction] of this.ways) {
      way.delayMs = this.delayMs
      way.isCut = this.cut[direction]
    }
  }
}

export const tcpProxy = async (port: number, losses = new Losses()): Promise<TcpProxy> => {
  const sockets = new Set<Socket>()
  const ends = new Set<Socket>()
  const faults = new Faults()
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port, host: "127.0.0.1", allowHalfOpen: true })
    const toStore = new Way(near, far, () => false)
    const toWorker = new Way(far, near, () => losses.take())
    ends.add(far)
    far.once("close", () => ends.delete(far))
    faults.ways.set(toStore, "toStore").set(toWorker, "toWorker")
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.setNoDelay()
      one.on("error", () => {})
      one.on("close", () => {
        sockets.delete(one)
        other.destroy()
        for (const way of [toStore, toWorker]) {
          way.stop()
          faults.ways.delete(way)
        }
      })
    }
    faults.apply()
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const drop = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    get addresses() {
      return [...ends].map(({ localAddress, localPort }) => `${localAddress}:${localPort}`)
    },
    cut: (direction) => {
      for (const one of direction === undefined ? (["toStore", "toWorker"] as const) : [direction]) faults.cut[one] = true
      faults.apply()
    },
    slow: (ms) => {
      faults.delayMs = ms
      faults.apply()
    },
    drop,
    loseReplies: (count) => void (losses.left = count),
    get lost() {
      return losses.count
    },
    heal: () => {
      Object.assign(faults.cut, { toStore: false, toWorker: false })
      faults.delayMs = 0
      losses.left = 0
      faults.apply()
    },
    close: async () => {
      drop()
      server.close()
      await once(server, "close")
    },
  }
}
