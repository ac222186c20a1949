/**
 * Processes of a bench and the calls between them. A child serves named functions; it ends when its parent does, however that ends, because
 * the channel closes then.
 */
import { fork, type ChildProcess } from "node:child_process"
import { once } from "node:events"

type Handlers = Readonly<Record<string, (argument: any) => unknown>>

interface Request {
  readonly id: number
  readonly name: string
  readonly argument: unknown
}
interface Reply {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

/** In the child: answers the parent's calls, and `cpu`: the processor time used so far, ms. */
export const serve = (own: Handlers): void => {
  const handlers: Handlers = { cpu: () => process.cpuUsage().user / 1_000 + process.cpuUsage().system / 1_000, ...own }
  // Ctrl-C reaches the whole process group: only the parent decides what to do about it
  process.on("SIGINT", () => {})
  process.on("disconnect", () => process.exit(0))
  // a parent that is gone needs no reply
  const reply = (message: Reply): void => void process.send?.(message, undefined, undefined, () => {})
  process.on("message", ({ id, name, argument }: Request) => {
    void (async () => {
      try {
        reply({ id, value: await handlers[name]?.(argument) })
      } catch (error) {
        reply({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
      }
    })()
  })
}

const endTimeoutMs = 5_000

export class Child {
  readonly #process: ChildProcess
  readonly #what: string
  readonly #waiting = new Map<number, { readonly resolve: (value: any) => void; readonly reject: (error: Error) => void }>()
  #calls = 0
  /** By what it ended: a signal or an exit code. */
  #end: string | undefined

  constructor(module: URL, args: ReadonlyArray<string>) {
    this.#what = args.slice(0, 2).join(" ")
    // as `ponos worker` starts its processes (supervisor/node-args.ts), for all contenders
    const execArgv = [...process.execArgv, "--max-semi-space-size=32"]
    this.#process = fork(module, args, { stdio: ["ignore", 2, 2, "ipc"], execArgv })
    this.#process.on("message", ({ id, value, error }: Reply) => {
      const call = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) call?.resolve(value)
      else call?.reject(new Error(`${this.#what}: ${error}`))
    })
    this.#process.on("exit", (code, signal) => {
      this.#end = String(signal ?? code)
      for (const { reject } of this.#waiting.values()) reject(new Error(`${this.#what} ended before it answered (${this.#end})`))
      this.#waiting.clear()
    })
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  get ended(): boolean {
    return this.#end !== undefined
  }

  call<A>(name: string, argument?: unknown): Promise<A> {
    if (this.#end !== undefined) return Promise.reject(new Error(`${this.#what} has ended (${this.#end})`))
    const id = this.#calls++
    return new Promise<A>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#process.send({ id, name, argument } satisfies Request, (error) => error !== null && reject(error))
    })
  }

  /** Sends a signal. Calls that a killed process owes an answer fail. */
  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** Resolves when the process is gone. */
  async exited(): Promise<void> {
    if (!this.ended) await once(this.#process, "exit")
  }

  /** Lets it close what it has open; kills it when it does not. */
  async end(): Promise<void> {
    if (this.ended) return
    const exited = once(this.#process, "exit")
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), endTimeoutMs)
    await this.call("close").catch(() => undefined)
    if (this.#process.connected) this.#process.disconnect()
    await exited
    clearTimeout(timer)
  }
}
