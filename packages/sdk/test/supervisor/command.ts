/** The command `ponos worker` in a process of its own, and what its processes say. */
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../../src/bin.ts", import.meta.url))

/** Is the process gone, or a zombie that nobody waits for? */
export const isGone = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch {
    return true
  }
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.startsWith("Z") === true
  } catch {
    return process.platform === "linux"
  }
}

/** The shards of each process, from the events that it prints. */
export class Shards {
  readonly of = new Map<number, Set<number>>()
  rescued = 0

  line(number: number, line: string): void {
    if (!line.startsWith("{")) return
    const { type, shard } = JSON.parse(line) as { type: string; shard: number }
    const own = this.of.get(number) ?? new Set()
    this.of.set(number, own)
    if (type === "claimed" || type === "rescued") own.add(shard)
    if (type === "rescued") this.rescued += 1
    if (type === "released") own.delete(shard)
  }

  /** How many each of them has. */
  counts(): ReadonlyArray<number> {
    return [...this.of.values()].map(({ size }) => size)
  }

  covered(): number {
    return new Set([...this.of.values()].flatMap((own) => [...own])).size
  }
}

export class PonosCommand {
  static readonly running = new Set<PonosCommand>()
  readonly child: ChildProcess
  readonly out: Array<string> = []
  readonly err: Array<string> = []
  readonly shards = new Shards()
  /** Of each number the process that lives. */
  readonly pids = new Map<number, number>()
  readonly everyPid: Array<number> = []
  readonly ended: Promise<number | null>

  constructor(...args: ReadonlyArray<string>) {
    this.child = spawn(process.execPath, ["--conditions=source", bin, "worker", ...args], { stdio: ["ignore", "pipe", "pipe"] })
    if (this.child.stdout === null || this.child.stderr === null) throw new Error("no pipes")
    createInterface({ input: this.child.stdout }).on("line", (line) => {
      this.out.push(line)
      const [, number, text] = /^ *(\d+) \| (.*)$/.exec(line) ?? []
      this.shards.line(Number(number), text ?? "")
    })
    createInterface({ input: this.child.stderr }).on("line", (line) => {
      this.err.push(line)
      const [, number, what, pid] = /^ponos: worker (\d+) (started, pid|exited|ended)(?: (\d+))?/.exec(line) ?? []
      if (number === undefined) return
      if (what === "started, pid") {
        this.pids.set(Number(number), Number(pid))
        this.everyPid.push(Number(pid))
      } else {
        this.pids.delete(Number(number))
        this.shards.of.delete(Number(number))
      }
    })
    this.ended = once(this.child, "close").then(([code]) => code as number | null)
    PonosCommand.running.add(this)
  }

  /** Ends what a failed test left, whatever state it is in. */
  async clear(): Promise<void> {
    for (const pid of [this.child.pid ?? 0, ...this.everyPid]) if (!isGone(pid)) process.kill(pid, "SIGKILL")
    await this.ended
  }
}
