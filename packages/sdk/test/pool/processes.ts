/** Workers in processes of their own, and what they tell: for tests that kill, freeze and drain them. */
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { afterEach } from "vitest"
import type { PoolJoinOptions } from "../../src/pool/index.ts"
import type { PoolEvent } from "../../src/pool/events.ts"

export interface Line {
  readonly what: string
  readonly key: string
  readonly at: number
  readonly event: object
}

/** The host's monotonic clock, ms: the same for all processes. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6

export class Process {
  readonly lines: Array<Line> = []
  readonly child: ChildProcess
  /** What it wrote on stderr, where `quiet` says that nobody else need see it. */
  stderr = ""
  diedAt = Number.POSITIVE_INFINITY

  constructor(
    store: string,
    name: string,
    options?: PoolJoinOptions,
    env: Readonly<Record<string, string>> = {},
    { program = "pool-process.ts", quiet = false }: { readonly program?: string; readonly quiet?: boolean } = {},
  ) {
    const script = join(import.meta.dirname, program)
    const args = ["--conditions=source", script, store, name, ...(options === undefined ? [] : [JSON.stringify(options)])]
    this.child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", quiet ? "pipe" : "inherit"], env: { ...process.env, ...env } })
    if (this.child.stdout !== null)
      createInterface({ input: this.child.stdout }).on("line", (line) => this.lines.push(JSON.parse(line) as Line))
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.stderr += text))
    children.push(this)
  }

  /** Id of its worker's first session, "" before it joined. */
  get session(): string {
    return this.lines.find(({ what }) => what === "worker")?.key ?? ""
  }

  /** How many shards it has claimed in all. */
  get claims(): number {
    return this.lines.filter(({ what }) => what === "claimed" || what === "rescued").length
  }

  seen<T extends PoolEvent["type"]>(type: T): ReadonlyArray<Extract<PoolEvent, { readonly type: T }>> {
    return this.lines.filter(({ what }) => what === type).map(({ event }) => event) as never
  }

  running(): ReadonlyArray<string> {
    const running = new Set<string>()
    for (const { what, key } of this.lines) {
      if (what === "begin") running.add(key)
      if (what === "end") running.delete(key)
    }
    return [...running]
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode
    const exited = once(this.child, "exit")
    this.diedAt = now()
    this.child.kill(signal)
    await exited
    return this.child.exitCode
  }

  /** From begin to end of each job; those of a killed process end when it was killed. */
  intervals(): ReadonlyArray<{ readonly key: string; readonly from: number; readonly to: number }> {
    return this.lines
      .filter(({ what }) => what === "begin")
      .map(({ key, at }) => ({
        key,
        from: at,
        to: this.lines.find((line) => line.what === "end" && line.key === key && line.at >= at)?.at ?? this.diedAt,
      }))
  }
}

const children: Array<Process> = []
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.end("SIGKILL")))
})
