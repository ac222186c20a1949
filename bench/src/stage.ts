/** What a measurement gets: processes, stores and names that are gone when the bench ends, however it ends. */
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { Child } from "./child.ts"
import type { StoreName } from "./command.ts"
import type { BenchRedis } from "./redis.ts"

export interface StageOptions {
  readonly quick: boolean
  readonly say: (line: string) => void
  /** Folder of the processes' modules. */
  readonly folder: URL
  /** Absent where all is measured on files. */
  readonly redis: BenchRedis | undefined
}

export class Stage {
  readonly quick: boolean
  readonly say: (line: string) => void
  readonly #options: StageOptions
  /** Part of every key of this stage. */
  readonly #id = `bench-${randomBytes(5).toString("hex")}`
  readonly #directory = mkdtempSync(join(tmpdir(), "ponos-bench-"))
  readonly #children = new Set<Child>()
  #names = 0
  #stopped = false

  constructor(options: StageOptions) {
    this.#options = options
    this.quick = options.quick
    this.say = options.say
  }

  get redis(): BenchRedis {
    const { redis } = this.#options
    if (redis === undefined) throw new Error("this part of the bench needs a Redis")
    return redis
  }

  get stopped(): boolean {
    return this.#stopped
  }

  /** A process of a module of the folder. */
  spawn(module: string, args: ReadonlyArray<string>): Child {
    const child = new Child(new URL(module, this.#options.folder), args)
    this.onChild(child)
    return child
  }

  /** Ends it when the bench ends. */
  readonly onChild = (child: Child): void => {
    this.#children.add(child)
    if (!this.#stopped) return
    void child.end()
    throw new Error("the bench was stopped")
  }

  /** Part of every key of one pool or queue; never used before. */
  name(): string {
    if (this.#stopped) throw new Error("the bench was stopped")
    return `${this.#id}-${++this.#names}`
  }

  /** Address of a store: the Redis, or a new file. */
  store(of: StoreName): string {
    return of === "sqlite" ? `file:${join(this.#directory, `${++this.#names}.db`)}` : this.redis.url
  }

  /** Removes what one name has left. Files go at the end. */
  async clean(name: string): Promise<void> {
    await this.#options.redis?.clean(name)
  }

  /** Ends every process and removes every key and file: also in the middle of a run. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all([...this.#children].map((child) => child.end()))
    await this.#options.redis?.clean(this.#id)
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

const pollMs = 20

/** Waits until it is true; an error that says `what` after `ms`. */
export const until = async (what: string, condition: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> => {
  const end = performance.now() + ms
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${ms} ms in vain until ${what}`)
    await delay(pollMs)
  }
}
