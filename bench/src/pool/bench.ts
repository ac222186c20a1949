/** The bench `pool`: what a pool promises about its workers, measured on real processes. */
import type { Command, StoreName } from "../command.ts"
import type { StoreFigures } from "../figure.ts"
import { Found as FoundOf } from "../found.ts"
import type { BenchRedis } from "../redis.ts"
import { contenderNames } from "../start/contender.ts"
import { latency } from "../start/workloads.ts"
import { bullmqTakeover, fastBullmq, type BullmqOptions } from "./bullmq-takeover.ts"
import { kinds, type FigureName, type Found } from "./found.ts"
import { measureMoved } from "./moved.ts"
import { measureParked } from "./parked.ts"
import { Stage } from "../stage.ts"
import { measureTakeovers } from "./takeover.ts"

/** BullMQ's stalled check with its default settings: about fifty seconds. */
const peerBoundMs = 75_000
const fastPeerBoundMs = 10_000
/** Figures that hardly differ from run to run. */
const steadyRuns = 3

export class PoolBench {
  readonly #command: Command
  readonly #stage: Stage

  /** Without a Redis only what is measured on files. */
  constructor(command: Command, redis: BenchRedis | undefined, say: (line: string) => void) {
    this.#command = command
    this.#stage = new Stage({ quick: command.quick, say, folder: new URL("./", import.meta.url), redis })
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

  async stop(): Promise<void> {
    await this.#stage.stop()
  }

  async #on(store: StoreName): Promise<Found> {
    const { runs, workloads, quick } = this.#command
    const found: Found = new FoundOf(kinds)
    const stage = this.#stage
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
    await this.#peer(this.#stage, "takeoverCrashMs", {}, peerBoundMs, found)
  }

  /** Never fails: a bench is worth more than its peer. With short locks, BullMQ on a busy machine takes jobs from workers that live. */
  async #peer(stage: Stage, name: FigureName, options: BullmqOptions, boundMs: number, found: Found): Promise<void> {
    try {
      const ms = found.addPeer(name, await bullmqTakeover(stage, options, boundMs))
      stage.say(`BullMQ ${JSON.stringify(options)}: crash ${ms.toFixed(0)} ms`)
    } catch (error) {
      stage.say(`BullMQ ${JSON.stringify(options)}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  async #latency(stage: Stage, runs: number, found: Found): Promise<void> {
    const { quick } = this.#command
    for (let turn = 0; turn < runs; turn++) {
      for (const contender of turn % 2 === 0 ? contenderNames : contenderNames.toReversed()) {
        const { p50, p99 } = await latency({ contender, namespace: stage.name(), store: stage.redis, quick, onChild: stage.onChild })
        const add = contender === "ponos" ? found.add.bind(found) : found.addPeer.bind(found)
        add("latencyP50Ms", p50)
        add("latencyP99Ms", p99)
        stage.say(`latency ${turn + 1}/${runs} ${contender}: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`)
      }
    }
  }
}
