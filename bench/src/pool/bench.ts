/** The bench `pool`: what a pool promises about its workers, measured on real processes. */
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Child } from "../child.ts"
import type { Command, StoreName } from "../command.ts"
import type { StoreFigures } from "../figure.ts"
import type { BenchRedis } from "../redis.ts"
import { contenderNames } from "../start/contender.ts"
import { latency } from "../start/workloads.ts"
import { bullmqTakeover, fastBullmq, type BullmqOptions } from "./bullmq-takeover.ts"
import { Found, type FigureName } from "./found.ts"
import { measureMoved } from "./moved.ts"
import { measureParked } from "./parked.ts"
import type { Stage } from "./stage.ts"
import { measureTakeovers } from "./takeover.ts"

/** BullMQ's stalled check with its default settings: about fifty seconds. */
const peerBoundMs = 75_000
const fastPeerBoundMs = 10_000
/** Figures that hardly differ from run to run. */
const steadyRuns = 3

export class PoolBench {
  readonly #command: Command
  readonly #redis: BenchRedis | undefined
  readonly #say: (line: string) => void
  /** Part of every key of this bench. */
  readonly #id = `bench-${randomBytes(5).toString("hex")}`
  readonly #directory = mkdtempSync(join(tmpdir(), "ponos-bench-"))
  readonly #children = new Set<Child>()
  #names = 0
  #stopped = false

  /** Without a Redis only what is measured on files. */
  constructor(command: Command, redis: BenchRedis | undefined, say: (line: string) => void) {
    this.#command = command
    this.#redis = redis
    this.#say = say
  }

  async measure(): Promise<ReadonlyArray<StoreFigures>> {
    const found = new Map<StoreName, Found>()
    let peer: Promise<void> | undefined
    for (const store of this.#command.stores) {
      found.set(store, await this.#on(store))
      // BullMQ waits for most of a minute and does nothing: what is measured on files goes on beside it
      if (store === "redis") peer = this.#slowPeer(found.get(store))
    }
    await peer
    return [...found].map(([store, { figures }]) => ({ store, figures }))
  }

  /** Ends every process and removes every key and file: also in the middle of a run. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all([...this.#children].map((child) => child.end()))
    await this.#redis?.clean(this.#id)
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #on(store: StoreName): Promise<Found> {
    const { runs, workloads, quick } = this.#command
    const found = new Found()
    const stage = this.#stage()
    const steady = Math.min(runs, steadyRuns)
    if (workloads.includes("takeover")) await measureTakeovers(stage, store, runs, found)
    // what moves is decided above the stores
    if (workloads.includes("moved") && !(quick && store === "sqlite")) await measureMoved(stage, store, steady, found)
    if (store === "sqlite") return found
    if (workloads.includes("latency")) await this.#latency(stage, runs, found)
    if (workloads.includes("parked")) await measureParked(stage, steady, found)
    if (workloads.includes("takeover")) await this.#fastPeer(stage, quick ? 1 : steady, found)
    return found
  }

  async #fastPeer(stage: Stage, runs: number, found: Found): Promise<void> {
    for (let run = 1; run <= runs; run++) await this.#peer(stage, "takeoverCrashFastMs", fastBullmq, fastPeerBoundMs, found)
  }

  async #slowPeer(found: Found | undefined): Promise<void> {
    const { quick, workloads } = this.#command
    if (quick || found === undefined || !workloads.includes("takeover")) return
    await this.#peer(this.#stage(), "takeoverCrashMs", {}, peerBoundMs, found)
  }

  /** Never fails: a bench is worth more than its peer. With short locks, BullMQ on a busy machine takes jobs from workers that live. */
  async #peer(stage: Stage, name: FigureName, options: BullmqOptions, boundMs: number, found: Found): Promise<void> {
    try {
      const ms = found.addPeer(name, await bullmqTakeover(stage, options, boundMs))
      this.#say(`BullMQ ${JSON.stringify(options)}: crash ${ms.toFixed(0)} ms`)
    } catch (error) {
      this.#say(`BullMQ ${JSON.stringify(options)}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  async #latency(stage: Stage, runs: number, found: Found): Promise<void> {
    const { quick } = this.#command
    for (let turn = 0; turn < runs; turn++) {
      for (const contender of turn % 2 === 0 ? contenderNames : contenderNames.toReversed()) {
        const onChild = (child: Child): void => void this.#children.add(child)
        const { p50, p99 } = await latency({ contender, namespace: stage.name(), redis: stage.redis, quick, onChild })
        const add = contender === "ponos" ? found.add.bind(found) : found.addPeer.bind(found)
        add("latencyP50Ms", p50)
        add("latencyP99Ms", p99)
        stage.say(`latency ${turn + 1}/${runs} ${contender}: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`)
      }
    }
  }

  #stage(): Stage {
    const need = (): BenchRedis => {
      if (this.#redis === undefined) throw new Error("this part of the bench needs a Redis")
      return this.#redis
    }
    return {
      quick: this.#command.quick,
      say: this.#say,
      spawn: (module, args) => {
        if (this.#stopped) throw new Error("the bench was stopped")
        const child = new Child(new URL(`./${module}`, import.meta.url), args)
        this.#children.add(child)
        return child
      },
      name: () => `${this.#id}-${++this.#names}`,
      store: (of) => (of === "sqlite" ? `file:${join(this.#directory, `${++this.#names}.db`)}` : need().url),
      get redis() {
        return need()
      },
    }
  }
}
