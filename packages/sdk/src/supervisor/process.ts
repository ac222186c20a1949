/** One life of a worker process: starts it, passes its output on line by line, and tells when and why it ended. */
import type { ChildProcess } from "node:child_process"
import { fork } from "node:child_process"
import { once } from "node:events"
import type { Readable } from "node:stream"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { createInterface } from "node:readline"
import type { Charge, Report, Request } from "./channel.ts"
import { chargeName } from "./channel.ts"
import { nodeArgs } from "./node-args.ts"

/** Source and build have this file beside each other under the extension that this one has. */
const main = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "child.ts" : "child.js", import.meta.url))
/** How long the end of a process waits for its last lines: a process that it started itself may hold its pipes for ever. */
const lastLinesMs = 500

export interface Death {
  readonly code: number | null
  readonly signal: string | null
  /** In the words of the process, or "". */
  readonly why: string
  readonly hopeless: boolean
  readonly livedMs: number
}

export interface ProcessHost {
  ready(): void
  line(line: string, stream: "stdout" | "stderr"): void
  died(death: Death): void
}

export class WorkerProcess {
  readonly #child: ChildProcess
  readonly #host: ProcessHost
  readonly #startedAt = performance.now()
  #failure: Extract<Report, { type: "failed" }> | undefined
  #over = false

  constructor(charge: Charge, options: { readonly args: ReadonlyArray<string>; readonly env: NodeJS.ProcessEnv }, host: ProcessHost) {
    this.#host = host
    this.#child = fork(main, options.args, {
      env: { ...options.env, [chargeName]: JSON.stringify(charge) },
      execArgv: [...nodeArgs(process.execArgv, options.env["NODE_OPTIONS"])],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    })
    const output = [this.#pass("stdout"), this.#pass("stderr")]
    this.#child.on("message", (report: Report) => {
      if (report.type === "ready") host.ready()
      else this.#failure = report
    })
    this.#child.on("exit", (code, signal) => void this.#end(code, signal, output))
    // before it exists; once it does, all there is to know is its exit
    this.#child.on("error", (error) => {
      if (this.#child.pid !== undefined) return
      this.#failure = { type: "failed", why: error.message, hopeless: false }
      void this.#end(null, null, [])
    })
  }

  /** 0: it could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  drain(): void {
    const request: Request = { type: "drain" }
    // one that has closed its channel is ending already
    if (this.#child.connected) this.#child.send(request, () => undefined)
  }

  kill(): void {
    this.#child.kill("SIGKILL")
  }

  async #pass(name: "stdout" | "stderr"): Promise<void> {
    const lines = createInterface({ input: this.#child[name] as Readable, crlfDelay: Number.POSITIVE_INFINITY })
    lines.on("line", (line) => this.#host.line(line, name))
    await once(lines, "close")
  }

  async #end(code: number | null, signal: string | null, output: ReadonlyArray<Promise<void>>): Promise<void> {
    if (this.#over) return
    this.#over = true
    const livedMs = performance.now() - this.#startedAt
    await Promise.race([Promise.all(output), sleep(lastLinesMs)])
    // what a process survived is not why it ended
    const why = code === 0 ? "" : (this.#failure?.why ?? "")
    this.#host.died({ code, signal, why, hopeless: this.#failure?.hopeless ?? false, livedMs })
  }
}
