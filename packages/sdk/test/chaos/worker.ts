/** A worker process, as whoever hurts it sees it. */
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { WorkerLine } from "./history.ts"
import type { Ways } from "./ways.ts"
import type { WorkerSpec } from "./worker-process.ts"

export interface WorkerEvent {
  readonly at: number
  readonly of: "run" | "low" | ""
  readonly type: string
  readonly session?: string
  readonly error?: string
  readonly [more: string]: unknown
}

export class Worker {
  readonly name: string
  readonly child: ChildProcess
  /** Absent: it reaches its store directly. */
  readonly ways: Ways | undefined
  readonly events: WorkerEvent[] = []
  frozen = false
  /** What it said on stderr. */
  said = ""

  constructor(spec: WorkerSpec, ways?: Ways) {
    this.name = spec.worker
    this.ways = ways
    const script = join(import.meta.dirname, "worker-process.ts")
    this.child = spawn(process.execPath, ["--conditions=source", script, JSON.stringify(spec)], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...ways?.env },
    })
    if (this.child.stdout !== null)
      createInterface({ input: this.child.stdout }).on("line", (line) => this.events.push(JSON.parse(line) as WorkerEvent))
    this.child.stderr?.on("data", (data) => (this.said += String(data)))
    // A dead child takes no commands.
    this.child.stdin?.on("error", () => {})
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.alive) return
    const exited = once(this.child, "exit")
    this.child.kill(signal)
    await exited
  }

  count(type: string): number {
    return this.events.filter((event) => event.type === type).length
  }

  /** Sessions of both its pools. */
  get sessions(): ReadonlyArray<string> {
    return this.events.flatMap(({ type, session }) => (type === "joined" && session !== undefined ? [session] : []))
  }

  /** Ends of runs that the store accepted from it. */
  get ended(): ReadonlyArray<WorkerLine> {
    return this.events.flatMap(({ at, type, kind, key, run }) =>
      type === "ended" ? [{ at, what: "ended", worker: this.name, key: `${String(kind)}/${String(key)}`, run: String(run) } as const] : [],
    )
  }

  get faults(): ReadonlyArray<string> {
    return this.events.flatMap(({ type, of, error }) => (type === "fault" ? [`${this.name}: a fault in ${of}: ${error}`] : []))
  }
}
