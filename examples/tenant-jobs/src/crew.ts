/**
 * The processes of the demo. They die with it: their IPC channel closes when it ends, however it ends (child.ts), and it kills them itself
 * when it ends by an exit or an exception. One that ends without being asked fails the demo, with the last lines that it wrote.
 */
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { closeSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { fileURLToPath } from "node:url"

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Member {
  readonly name: string
  readonly pid: number
  /** Resolves when the process is gone. */
  readonly exited: Promise<Exit>
  running(): boolean
}

const readyTimeoutMs = 30_000
const endTimeoutMs = 20_000

interface Entry extends Member {
  readonly child: ChildProcess
  expected: boolean
}

export class Crew {
  readonly #directory: string
  readonly #environment: Readonly<Record<string, string>>
  readonly #members = new Map<string, Entry>()
  readonly #trouble = new AbortController()
  readonly #onExit: (name: string, exit: Exit) => void

  constructor(directory: string, environment: Readonly<Record<string, string>>, onExit: (name: string, exit: Exit) => void) {
    this.#directory = directory
    this.#environment = environment
    this.#onExit = onExit
  }

  /** Fires, with the error as its reason, when a process ended that should not. */
  get trouble(): AbortSignal {
    return this.#trouble.signal
  }

  /** Starts a module of this folder, and waits until it says `{ type: "ready", … }`. */
  async start<Ready extends object>(name: string, module: string, config: object): Promise<Member & { readonly ready: Ready }> {
    const log = openSync(this.#log(name), "a")
    const file = fileURLToPath(new URL(module, import.meta.url))
    // The directory tells in the list of processes to which run of the demo a process belongs.
    const child = spawn(process.execPath, [...process.execArgv, file, JSON.stringify(config), this.#directory], {
      stdio: ["ignore", log, log, "ipc"],
      env: { ...process.env, ...this.#environment },
    })
    closeSync(log)
    const exited = once(child, "exit").then(([code, signal]): Exit => ({ code, signal }))
    const entry: Entry = {
      name,
      child,
      exited,
      pid: child.pid ?? 0,
      expected: false,
      running: () => child.exitCode === null && child.signalCode === null,
    }
    this.#members.set(name, entry)
    void exited.then((exit) => {
      this.#onExit(name, exit)
      if (!entry.expected) this.#trouble.abort(this.#unexpected(name, `ended (${exit.signal ?? `exit code ${exit.code}`})`))
    })
    const stop = AbortSignal.any([this.trouble, AbortSignal.timeout(readyTimeoutMs)])
    try {
      const [message] = (await once(child, "message", { signal: stop })) as [Ready]
      return { ...entry, ready: message }
    } catch {
      this.trouble.throwIfAborted()
      throw this.#unexpected(name, `was not ready after ${readyTimeoutMs / 1_000} s`)
    }
  }

  /** Says something over the IPC channel of a process. */
  tell(name: string, message: object): void {
    this.#members.get(name)?.child.send(message)
  }

  /** Sends a signal; its end is expected then. */
  signal(name: string, signal: "SIGKILL" | "SIGTERM"): void {
    const entry = this.#members.get(name)
    if (entry === undefined) throw new Error(`there is no process ${name}`)
    entry.expected = true
    entry.child.kill(signal)
  }

  /** Asks all to end and waits for them; after 20 s they are killed, and their names returned. */
  async end(names: ReadonlyArray<string> = [...this.#members.keys()]): Promise<ReadonlyArray<string>> {
    const entries = names.flatMap((name) => this.#members.get(name) ?? []).filter((entry) => entry.running())
    for (const { name } of entries) this.signal(name, "SIGTERM")
    await Promise.race([Promise.all(entries.map(({ exited }) => exited)), delay(endTimeoutMs, undefined, { ref: false })])
    const stuck = entries.filter((entry) => entry.running())
    for (const { name } of stuck) this.signal(name, "SIGKILL")
    await Promise.all(stuck.map(({ exited }) => exited))
    return stuck.map(({ name }) => name)
  }

  /** Ends all at once; for an exit. */
  kill(): void {
    for (const entry of this.#members.values()) {
      entry.expected = true
      if (entry.running()) entry.child.kill("SIGKILL")
    }
  }

  /** The last lines that each process wrote, for an error. */
  report(): string {
    const words = [...this.#members.keys()].map((name) => [name, this.#lastWords(name, 5)] as const)
    return words.flatMap(([name, text]) => (text === "" ? [] : [`${name} wrote:\n${text}`])).join("\n")
  }

  #lastWords(name: string, lines: number): string {
    try {
      return readFileSync(this.#log(name), "utf8").trimEnd().split("\n").slice(-lines).join("\n")
    } catch {
      return ""
    }
  }

  #log(name: string): string {
    return join(this.#directory, `${name}.log`)
  }

  #unexpected(name: string, what: string): Error {
    return new Error(`${name} ${what}. It wrote:\n${this.#lastWords(name, 15) || "(nothing)"}`)
  }
}
