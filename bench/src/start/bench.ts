/** The bench `start`: each workload so many times, the contenders in turn, so that what else the machine does meets both. */
import { randomBytes } from "node:crypto"
import type { Child } from "../child.ts"
import type { Command } from "../command.ts"
import type { Figure, StoreFigures } from "../figure.ts"
import type { BenchRedis } from "../redis.ts"
import { contenderNames, type ContenderName } from "./contender.ts"
import { describeRate, endToEnd, latency, starts, type Latency, type Rate, type Run } from "./workloads.ts"

type Both<A> = Readonly<Record<ContenderName, Array<A>>>

export class StartBench {
  readonly #command: Command
  readonly #redis: BenchRedis
  readonly #say: (line: string) => void
  /** Part of every key of this bench. */
  readonly #id = `bench-${randomBytes(5).toString("hex")}`
  readonly #children = new Set<Child>()
  #turns = 0
  #stopped = false

  constructor(command: Command, redis: BenchRedis, say: (line: string) => void) {
    this.#command = command
    this.#redis = redis
    this.#say = say
  }

  async measure(): Promise<ReadonlyArray<StoreFigures>> {
    const { workloads } = this.#command
    const figures: Array<Figure> = []
    if (workloads.includes("starts"))
      figures.push(this.#rate("startsPerSecond", "starts/s, 500 in flight", await this.#both("starts", starts)))
    if (workloads.includes("endToEnd"))
      figures.push(this.#rate("endToEndPerSecond", "jobs/s, start to completed", await this.#both("end to end", endToEnd)))
    if (workloads.includes("latency")) {
      const found = await this.#both("latency", latency)
      figures.push(this.#latency("latencyP50Ms", "start to handler at 200/s, p50 ms", found, (one) => one.p50))
      figures.push(this.#latency("latencyP99Ms", "start to handler at 200/s, p99 ms", found, (one) => one.p99))
    }
    return [{ store: "redis", figures }]
  }

  /** Ends every process and removes every key: also in the middle of a run. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all([...this.#children].map((child) => child.end()))
    await this.#redis.clean(this.#id)
  }

  async #both<A extends Rate | Latency>(what: string, workload: (run: Run) => Promise<A>): Promise<Both<A>> {
    const found: Both<A> = { ponos: [], bullmq: [] }
    for (let turn = 0; turn < this.#command.runs; turn++) {
      for (const contender of turn % 2 === 0 ? contenderNames : contenderNames.toReversed()) {
        const value = await this.#run(contender, workload)
        found[contender].push(value)
        this.#say(`${what} ${turn + 1}/${this.#command.runs} ${contender}: ${describe(value)}`)
      }
    }
    return found
  }

  async #run<A>(contender: ContenderName, workload: (run: Run) => Promise<A>): Promise<A> {
    if (this.#stopped) throw new Error("the bench was stopped")
    const namespace = `${this.#id}-${this.#turns++}`
    const mine = new Set<Child>()
    try {
      return await workload({
        contender,
        namespace,
        store: this.#redis,
        quick: this.#command.quick,
        onChild: (child) => {
          mine.add(child)
          this.#children.add(child)
        },
      })
    } finally {
      for (const child of mine) this.#children.delete(child)
      await this.#redis.clean(namespace)
    }
  }

  #rate(name: string, label: string, { ponos, bullmq }: Both<Rate>): Figure {
    return { name, label, unit: "1/s", better: "more", own: ponos.map((one) => one.perSecond), peer: bullmq.map((one) => one.perSecond) }
  }

  #latency(name: string, label: string, { ponos, bullmq }: Both<Latency>, pick: (one: Latency) => number): Figure {
    return { name, label, unit: "ms", better: "less", own: ponos.map(pick), peer: bullmq.map(pick) }
  }
}

const describe = (found: Rate | Latency): string => {
  if ("p50" in found) return `p50 ${found.p50.toFixed(2)} ms, p99 ${found.p99.toFixed(2)} ms`
  return describeRate(found, "job")
}
