/** Runs a program as a handler, on the real `job` or on the model's. */
import { retry } from "../../../src/define/index.ts"
import { GoneError } from "../fixture.ts"
import type { ChildNode, ChildStarter } from "./child.ts"
import { childKey } from "./child.ts"
import type { Node, Program, Together } from "./program.ts"
import { stepRetryMs } from "./program.ts"

/** What programs use of `job`. */
export interface Job {
  readonly iteration: number
  readonly attempt: number
  readonly wake: { readonly by: string; readonly name?: string }
  state: { count: number; log: ReadonlyArray<string> }
  readonly activities: { shout(input: string): PromiseLike<unknown> }
  readonly jobs: { readonly helper: ChildStarter }
  step(name: string, body: () => unknown, options?: object): PromiseLike<unknown>
  sleep(ms: number): PromiseLike<unknown>
  receive(name: string, options: object): PromiseLike<unknown>
  poll(name: string): unknown
  version(change: string, min: number, max: number): number
  saga(body: (saga: { undo(name: string, body: () => void): void }) => unknown): Promise<unknown>
  again(request: object): unknown
  done(value: string): unknown
}

export interface Branch {
  readonly path: string
  readonly run: (job: Job) => Promise<string>
}

/** What the real thing and the model do each in its own way. */
export interface Ways {
  together(job: Job, op: Together, branches: ReadonlyArray<Branch>): Promise<string>
  /** Resolves in the first attempt in which it does not fail. */
  flaky(job: Job, node: Node & { readonly op: "flaky" }, handler: Handler, path: string): Promise<string>
}

/** Fails in the attempt in which it is to fail. */
export const failOrNot = async (
  job: Job,
  { until, how }: Node & { readonly op: "flaky" },
  handler: Handler,
  path: string,
): Promise<string> => {
  const fails = job.attempt <= until
  if (how === "activity") return String(await job.activities.shout(fails ? "9 true" : "0 false"))
  if (how === "step") return handler.step(job, path, { fails: fails ? 99 : 0, tries: 1, deferred: false })
  if (fails) throw new Error("boom")
  return "over"
}

/** What the world outside saw. */
export class Sight {
  /** Results of steps that the handler got, and when it got the first: two for one step, and a journaled one was computed again (P4). */
  readonly seen = new Map<string, { readonly values: Set<number>; readonly at: number }>()
  readonly undone = new Set<string>()
  /** Keys of children that were started, and the runs that began under each. */
  readonly children = new Map<string, Set<string>>()
  readonly #now: () => number
  readonly #failures = new Map<string, number>()
  #bodies = 0

  constructor(now: () => number) {
    this.#now = now
  }

  body(): number {
    return ++this.#bodies
  }

  /** How often the body of a step failed, over all attempts: where its worker dies after that, it is not to take its time again. */
  failed(id: string): number {
    const count = (this.#failures.get(id) ?? 0) + 1
    this.#failures.set(id, count)
    return count
  }

  child(key: string): Set<string> {
    const runs = this.children.get(key) ?? new Set()
    this.children.set(key, runs)
    return runs
  }

  /** What happened twice. */
  get twice(): ReadonlyArray<string> {
    const results = [...this.seen].map(([id, { values }]) => [id, [...values]] as const)
    const runs = [...this.children].map(([key, ids]) => [key, [...ids]] as const)
    return [...results, ...runs].filter(([, values]) => values.length > 1).map(([id, values]) => `${id}: ${values.join(", ")}`)
  }

  see(id: string, value: number): void {
    const known = this.seen.get(id)
    if (known === undefined) this.seen.set(id, { values: new Set([value]), at: this.#now() })
    else known.values.add(value)
  }
}

/** The same for an error that was thrown and for one that was replayed. */
export const labelOf = (error: unknown): string => {
  const { _tag: tag, name, message } = error as { _tag?: string; name: string; message: string }
  return name === "Error" ? message : (tag ?? name)
}

export const combine = async (op: Together, values: ReadonlyArray<Promise<string>>): Promise<string> => {
  if (op === "all") return `[${(await Promise.all(values)).join(",")}]`
  if (op === "race") return Promise.race(values)
  const settled = await Promise.allSettled(values)
  return `(${settled.map((one) => (one.status === "fulfilled" ? one.value : `!${labelOf(one.reason)}`)).join(",")})`
}

export class Handler {
  readonly #program: Program
  readonly #sight: Sight
  readonly #ways: Ways

  constructor(program: Program, sight: Sight, ways: Ways) {
    this.#program = program
    this.#sight = sight
    this.#ways = ways
  }

  async run(job: Job): Promise<unknown> {
    const { iterations } = this.#program
    const iteration = iterations[job.iteration - 1]
    if (iteration === undefined) throw new Error(`there is no iteration ${job.iteration}`)
    const { by, name = "" } = job.wake
    const value = await this.node(job, iteration.body, String(job.iteration))
    job.state.log = [...job.state.log, `${by}${name}:${value}`]
    return job.iteration < iterations.length ? job.again(iteration.again) : job.done(value)
  }

  async node(job: Job, node: Node, path: string): Promise<string> {
    switch (node.op) {
      case "step":
        return this.step(job, path, node)
      case "activity":
        return String(await job.activities.shout(`${node.fails} ${node.declared}`))
      case "sleep":
        await job.sleep(node.ms)
        return "slept"
      case "receive":
      case "poll":
        return this.#signal(job, node)
      case "version":
        return `v${job.version("change", 1, 2)}`
      case "add":
        job.state.count += node.by
        return "added"
      case "look":
        return String(job.state.count)
      case "gone":
        throw new GoneError({ status: 410 })
      case "flaky":
        return this.#ways.flaky(job, node, this, path)
      case "catch":
        return this.node(job, node.node, path).catch((error: unknown) => `!${labelOf(error)}`)
      case "finally":
        try {
          return await this.node(job, node.node, `${path}.body`)
        } finally {
          await this.node(job, node.clean, `${path}.clean`)
        }
      case "seq":
        return this.#inTurn(job, node.nodes, path)
      case "saga":
        return this.#saga(job, node.nodes, path)
      case "child":
        return this.#child(job, node, path)
      default: {
        const branches = node.nodes.map((one, n) => ({ path: `${path}.${n}`, run: (own: Job) => this.node(own, one, `${path}.${n}`) }))
        return this.#ways.together(job, node.op, branches)
      }
    }
  }

  async #inTurn(job: Job, nodes: ReadonlyArray<Node>, path: string): Promise<string> {
    const values: Array<string> = []
    for (const [n, node] of nodes.entries()) values.push(await this.node(job, node, `${path}.${n}`))
    return values.join(" ")
  }

  async #child(job: Job, node: ChildNode, path: string): Promise<string> {
    const id = childKey(path, node)
    const child = await job.jobs.helper.start({ id }, { onParentEnd: node.policy })
    this.#sight.child(id)
    const during = node.during === undefined ? "" : await this.node(job, node.during, `${path}.during`)
    if (node.signal) await child.signal.go("on")
    return `${during}-${node.wait ? String(await child.result()) : "left"}`
  }

  async #saga(job: Job, nodes: ReadonlyArray<Node>, path: string): Promise<string> {
    const values: Array<string> = []
    await job.saga(async (saga) => {
      for (const [n, node] of nodes.entries()) {
        values.push(await this.node(job, node, `${path}.${n}`))
        saga.undo(`${path}.${n}`, () => void this.#sight.undone.add(`${path}.${n}`))
      }
    })
    return values.join(" ")
  }

  async step(job: Job, path: string, { fails, tries, deferred }: { fails: number; tries: number; deferred: boolean }): Promise<string> {
    const body = (): number => {
      if (this.#sight.failed(path) <= fails) throw new Error(`${path} fails`)
      // a result that may be computed anew is always the same
      return deferred ? 0 : this.#sight.body()
    }
    const again = tries === 1 ? {} : { retry: retry.fixed({ every: stepRetryMs, attempts: tries }) }
    this.#sight.see(path, (await job.step(path, body, { ...again, ...(deferred ? { commit: "deferred" } : {}) })) as number)
    return "step"
  }

  async #signal(job: Job, node: Node & { readonly op: "receive" | "poll" }): Promise<string> {
    if (node.op === "poll") return told(job.poll(node.name))
    const { name, timeout, only } = node
    const options = {
      ...(timeout === undefined ? {} : { timeout }),
      ...(only === undefined ? {} : { filter: (payload: string) => payload === only }),
    }
    return told(await job.receive(name, options))
  }
}

const told = (envelope: unknown): string => {
  if (envelope === undefined) return "nothing"
  const { name, payload } = envelope as { name: string; payload?: string | null }
  return payload === undefined || payload === null ? name : `${name}-${payload}`
}
