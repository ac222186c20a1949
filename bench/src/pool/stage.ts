/** What a measurement of the bench `pool` gets: processes, stores and names that are gone when the bench ends, however it ends. */
import { setTimeout as delay } from "node:timers/promises"
import type { Child } from "../child.ts"
import type { StoreName } from "../command.ts"
import type { BenchRedis } from "../redis.ts"

export interface Stage {
  readonly quick: boolean
  readonly say: (line: string) => void
  /** A process of a module of this folder. */
  spawn(module: string, args: ReadonlyArray<string>): Child
  /** Part of every key of one pool or queue; never used before. */
  name(): string
  /** Address of a store: the run's Redis, or a new file. */
  store(of: StoreName): string
  readonly redis: BenchRedis
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
