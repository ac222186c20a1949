/** A worker's own history, in a file beside the store: a line is written before the next one can happen. */
import { openSync, writeSync } from "node:fs"
import { monotonicMs, type HandlerLine, type WorkerLine } from "./history.ts"

type WithoutStamp<Line> = Line extends WorkerLine ? Omit<Line, "at" | "worker"> : never

/** What a handler's own code writes down. */
export interface Notes {
  readonly handler: number
  readonly step: (step: string, value: string, given: string) => void
  readonly message: (n: number) => void
  /** What a durable call gave; returns it. */
  readonly saw: (call: string, value: string) => string
  /** The result with which the run is about to end; returns it. */
  readonly said: (value: string) => string
}

interface Begun {
  readonly run: string
  readonly fence: bigint
  readonly iteration: number
  readonly abortSignal: AbortSignal
}

export class Recorder {
  readonly #file: number
  readonly #worker: string
  #handlers = 0

  constructor(path: string, worker: string) {
    this.#file = openSync(path, "a")
    this.#worker = worker
  }

  write(line: WithoutStamp<WorkerLine>): void {
    writeSync(this.#file, `${JSON.stringify({ at: monotonicMs(), worker: this.#worker, ...line })}\n`)
  }

  stalled(from: number, to: number): void {
    this.write({ what: "stalled", from, to })
  }

  begin(key: string, run: string, fence: bigint, iteration: number): number {
    const handler = ++this.#handlers
    this.write({ what: "begin", handler, key, run, fence: String(fence), iteration })
    return handler
  }

  /** Runs a handler of the runtime, and writes down its begin, its abort and its end. */
  async during<A>(key: string, job: Begun, body: (notes: Notes) => Promise<A>): Promise<A> {
    const handler = this.begin(key, job.run, job.fence, job.iteration)
    const write = (
      line: WithoutStamp<HandlerLine> extends infer L ? (L extends { key: string } ? Omit<L, "handler" | "key"> : never) : never,
    ) => this.write({ ...line, handler, key } as WithoutStamp<WorkerLine>)
    const onAbort = (): void => write({ what: "abort" })
    job.abortSignal.addEventListener("abort", onAbort, { once: true })
    try {
      return await body({
        handler,
        step: (step, value, given) => write({ what: "step", step, value, given }),
        message: (n) => write({ what: "message", n }),
        saw(call, value) {
          write({ what: "saw", call, value })
          return value
        },
        said(value) {
          write({ what: "said", value })
          return value
        },
      })
    } finally {
      write({ what: "end" })
      job.abortSignal.removeEventListener("abort", onAbort)
    }
  }
}
