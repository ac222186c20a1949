/** The bench `runtime`: what durable jobs cost, on each store; beside BullMQ, in turn, where it has an equivalent. */
import type { Command, StoreName } from "../command.ts"
import { median, quantile, type StoreFigures } from "../figure.ts"
import { Found } from "../found.ts"
import { openBenchRedis, type BenchRedis } from "../redis.ts"
import { Stage } from "../stage.ts"
import { contenderNames, type ContenderName } from "../start/contender.ts"
import { describeRate, endToEnd, starts, stepAlone, steps, type Rate, type Run } from "../start/workloads.ts"
import { kinds, type FigureName } from "./figures.ts"
import { measureParked } from "./parked.ts"
import { measureSignals } from "./signals.ts"

const folder = new URL("./", import.meta.url)

export class RuntimeBench {
  readonly #command: Command
  readonly #redis: BenchRedis | undefined
  readonly #say: (line: string) => void
  #stopped = false
  #stage: Stage | undefined
  /** Of the store `redis-everysec`: always a server of its own. */
  #logged: BenchRedis | undefined

  constructor(command: Command, redis: BenchRedis | undefined, say: (line: string) => void) {
    this.#command = command
    this.#redis = redis
    this.#say = say
  }

  async measure(): Promise<ReadonlyArray<StoreFigures>> {
    const all: Array<StoreFigures> = []
    for (const store of this.#command.stores) all.push({ store, figures: (await this.#on(store)).figures })
    return all
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#end()
  }

  /** What one store used: once, whoever asks for it. */
  #end(): Promise<void> {
    const [stage, logged] = [this.#stage, this.#logged]
    const end = async (): Promise<void> => {
      await stage?.stop()
      await logged?.stop()
      this.#logged = undefined
    }
    return (this.#ending ??= end())
  }
  #ending: Promise<void> | undefined

  async #on(store: StoreName): Promise<Found<FigureName>> {
    const { workloads, runs, quick } = this.#command
    if (store === "redis-everysec") this.#logged = await openBenchRedis(undefined, "everysec")
    const say = (line: string): void => this.#say(`${store}, ${line}`)
    const stage = (this.#stage = new Stage({ quick, say, folder, redis: this.#logged ?? (store === "redis" ? this.#redis : undefined) }))
    this.#ending = undefined
    // it was stopped while the server started
    if (this.#stopped) await this.#end()
    const found = new Found<FigureName>(kinds)
    const rates = {
      starts: ["startsPerSecond", starts],
      endToEnd: ["endToEndPerSecond", endToEnd],
      steps: ["stepsPerSecond", steps],
    } as const
    for (const [workload, [name, measure]] of Object.entries(rates)) {
      if (!workloads.includes(workload as keyof typeof rates)) continue
      const describe = (rate: Rate): string => describeRate(rate, workload === "steps" ? "step" : "job")
      await this.#inTurn(stage, store, { name, measure, valueOf: (rate) => rate.perSecond, describe }, found)
    }
    if (workloads.includes("step")) await this.#inTurn(stage, store, step, found)
    if (workloads.includes("signal")) await measureSignals(stage, store, runs, found)
    // a log on the disk changes nothing of what waits in memory: not in a short look
    if (workloads.includes("parked") && !(quick && store === "redis-everysec")) await measureParked(stage, store, runs, found)
    await this.#end()
    return found
  }

  async #inTurn<A>(
    stage: Stage,
    store: StoreName,
    { name, measure, valueOf, describe }: Contest<A>,
    found: Found<FigureName>,
  ): Promise<void> {
    const { runs, quick } = this.#command
    const contenders: ReadonlyArray<ContenderName> = store === "sqlite" ? ["ponos"] : contenderNames
    for (let turn = 0; turn < runs; turn++) {
      for (const contender of turn % 2 === 0 ? contenders : contenders.toReversed()) {
        const namespace = stage.name()
        const target = store === "sqlite" ? { url: stage.store(store) } : stage.redis
        const value = await measure({ contender, namespace, store: target, quick, onChild: stage.onChild })
        if (contender === "ponos") found.add(name, valueOf(value))
        else found.addPeer(name, valueOf(value))
        stage.say(`${name} ${turn + 1}/${runs} ${contender}: ${describe(value)}`)
        await stage.clean(namespace)
      }
    }
  }
}

interface Contest<A> {
  readonly name: FigureName
  readonly measure: (run: Run) => Promise<A>
  readonly valueOf: (value: A) => number
  readonly describe: (value: A) => string
}

const step: Contest<ReadonlyArray<number>> = {
  name: "stepMs",
  measure: stepAlone,
  valueOf: median,
  describe: (samples) => `p50 ${median(samples).toFixed(3)} ms, p99 ${quantile(samples, 0.99).toFixed(3)} ms`,
}
