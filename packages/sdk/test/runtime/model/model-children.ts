/** Children in the model: each lives by itself, and what becomes of it when its parent ends is its parent's choice. */
import type { Chance } from "./chance.ts"
import type { ChildNode } from "./child.ts"
import { childOf } from "./child.ts"
import type { Clock } from "./clock.ts"

interface ModelChild {
  readonly policy: ChildNode["policy"]
  readonly fails: boolean
  /** When it ends by itself; `undefined`: it waits to be told. */
  ends: number | undefined
  outcome: string | undefined
  /** Told when it ends. */
  readonly waiting: Set<() => void>
}

const closed = { cancel: "Cancelled", terminate: "Terminated", abandon: undefined }

export class ModelChildren {
  readonly #clock: Clock
  readonly #chance: Chance
  readonly #children = new Map<string, ModelChild>()
  /** When one of them last wrote something. */
  wrote: number | undefined

  constructor(clock: Clock, chance: Chance) {
    this.#clock = clock
    this.#chance = chance
  }

  #write(): void {
    this.wrote = this.#clock.now
    this.#chance.happens()
  }

  /** Once for a key: no two nodes of a program have the same. */
  start(key: string, policy: ChildNode["policy"]): void {
    const { ms, fails, waits } = childOf(key)
    const child: ModelChild = { policy, fails, ends: undefined, outcome: undefined, waiting: new Set() }
    this.#children.set(key, child)
    this.#write()
    if (!waits) this.#endAt(child, this.#clock.now + ms)
  }

  #endAt(child: ModelChild, time: number): void {
    child.ends = time
    const end = (): void => {
      this.#write()
      child.outcome = child.fails ? "Gone" : "done"
      for (const tell of child.waiting) tell()
    }
    if (time === this.#clock.now) end()
    else this.#clock.at(time, end)
  }

  go(key: string): void {
    const child = this.#children.get(key)
    if (child !== undefined && child.ends === undefined) this.#endAt(child, this.#clock.now)
  }

  outcomeOf(key: string): string | undefined {
    return this.#children.get(key)?.outcome
  }

  /** Gives a function that forgets it. */
  onEnd(key: string, tell: () => void): () => void {
    const waiting = this.#children.get(key)?.waiting
    waiting?.add(tell)
    return () => void waiting?.delete(tell)
  }

  /** Those that it leaves alone end by themselves. */
  parentEnds(): void {
    for (const child of this.#children.values()) {
      if (child.ends === this.#clock.now) this.#chance.find("a child and its parent end together")
      child.outcome ??= closed[child.policy]
    }
  }

  /** At the end of the case. */
  outcomes(): Readonly<Record<string, string>> {
    const now = (child: ModelChild): string =>
      child.outcome ?? (child.ends === undefined || child.ends > this.#clock.now ? "lives" : child.fails ? "Gone" : "done")
    return Object.fromEntries([...this.#children].map(([key, child]) => [key, now(child)]))
  }
}
