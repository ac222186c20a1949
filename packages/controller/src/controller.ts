/** `createController`: keeps one job per desired tenant, and the handle by which it is asked and told. */
import { setTimeout as delay } from "node:timers/promises"
import { BadOption, GuardRefused, type HostedController, type Options, PonosError, RunNotFound, WaitTimeout } from "@ponos/sdk"
import type { DurationInput } from "@ponos/sdk/define"
import { refuseUnknown, toMillis } from "@ponos/sdk/internal"
import { type ControllerHandle, controllerClient, host, type HostContext, type Hosted, inherited, passContext } from "./host.ts"
import { controlPool } from "./job.ts"
import { type ControlledJob, type ControllerOptions, readOptions, type ReadOptions } from "./options.ts"
import { heldAt, makePlan, type Plan } from "./pass.ts"
import type { ControllerState, PassReport } from "./report.ts"

export interface ControllerStatus {
  readonly name: string
  /** Pool of the controller's own job. */
  readonly pool: string
  /** `absent`: nobody has ever run it. */
  readonly state: "absent" | "running" | "paused"
  readonly paused: { readonly reason: string; readonly at: Date } | undefined
  /** Who runs it. */
  readonly owner: { readonly session: string; readonly host: string | undefined; readonly pid: number | undefined } | undefined
  /** Passes so far. */
  readonly passes: number
  /** A plan hash that was approved and not yet used. */
  readonly approval: string | undefined
  /** The last pass that ended. */
  readonly last: PassReport | undefined
  /** Why the last try of a pass failed: the store is away, a callback threw. */
  readonly lastError: string | undefined
}

export interface WaitOptions {
  /** How long to wait for the pass; default 30 seconds. */
  readonly timeout?: DurationInput
}

export interface RunOptions extends Partial<Options> {
  /** Drain at SIGTERM and SIGINT; default true. */
  readonly signals?: boolean
  /** As of a worker: nothing stands between this process and Redis, although Redis sees it at another address. */
  readonly directConnection?: boolean
}

export interface RunningController extends Hosted, AsyncDisposable {}

export interface Controller extends HostedController {
  readonly name: string
  /** For `createWorker({ controllers: [controller] })`. */
  host(context: HostContext): Promise<Hosted>
  /** Hosts it in this process, on the client's connection, until `drain()`. */
  run(options?: RunOptions): Promise<RunningController>
  /** Computes the plan now; only reads, from any process, whether or not the controller runs. */
  plan(): Promise<Plan>
  /** Lets the held-back stops of exactly this plan pass, once; runs a pass and gives its report. Throws `GuardRefused` when the plan is another one by now. */
  approve(hash: string, options?: WaitOptions): Promise<PassReport>
  /** Runs a pass now and gives its report; `full`: lists all shards, whatever their digests say. */
  reconcile(options?: WaitOptions & { readonly full?: boolean }): Promise<PassReport>
  /** Stops passes until `resume`; running jobs go on. */
  pause(reason?: string): Promise<void>
  resume(): Promise<void>
  status(): Promise<ControllerStatus>
}

const pollMs = 50

class ControllerImpl implements Controller {
  readonly name: string
  readonly #options: ReadOptions

  constructor(options: ReadOptions) {
    this.#options = options
    this.name = options.name
  }

  async host(context: HostContext): Promise<Hosted> {
    const { pool } = this.#options.job.internals
    if (context.pool !== pool)
      throw new BadOption(
        `expected a worker of pool ${pool} to host controller ${this.name}, got one of pool ${context.pool}: use that pool's client, or controller.run()`,
        {
          option: "controllers",
        },
      )
    return await host(this.#options, context)
  }

  async run({ signals = true, ...options }: RunOptions = {}): Promise<RunningController> {
    refuseUnknown(options, [...inherited, "directConnection"], "run")
    const { internals: job } = this.#options.job
    const hosted = await host(this.#options, { engine: await job.engine(), pool: job.pool, options }, signals)
    return { ...hosted, [Symbol.asyncDispose]: () => hosted.drain() }
  }

  async plan(): Promise<Plan> {
    const engine = await this.#options.job.internals.engine()
    const state = (await this.#described())?.state
    const { plan } = await makePlan(await passContext(this.#options, engine), {
      fence: undefined,
      full: false,
      stopping: new Set(state?.stopping),
      approval: state?.approval ?? undefined,
      heldAt: heldAt(state),
    })
    return plan
  }

  async approve(hash: string, options: WaitOptions = {}): Promise<PassReport> {
    refuseUnknown(options, ["timeout"], "approve")
    if (typeof hash !== "string" || hash === "")
      throw new BadOption(`expected approve to get the hash of a plan, got: ${JSON.stringify(hash)}`, { hash })
    const report = await this.#pass(options, (handle) => handle.update.approve({ hash }))
    if (report.guard.allowed || report.hash === hash) {
      if (report.guard.allowed) return report
      throw new GuardRefused(report.guard.message, { hash, reasons: report.guard.reasons })
    }
    throw new GuardRefused(
      `expected the hash of the plan as it is now (${report.hash}), got ${hash}. Look at the new plan, then approve that one. ${report.guard.message}`,
      {
        hash,
        current: report.hash,
        reasons: report.guard.reasons,
      },
    )
  }

  async reconcile(options: WaitOptions & { readonly full?: boolean } = {}): Promise<PassReport> {
    refuseUnknown(options, ["timeout", "full"], "reconcile")
    return await this.#pass(options, (handle) => handle.update.reconcile({ full: options.full === true }))
  }

  async pause(reason = "paused by an operator"): Promise<void> {
    await (await this.#handle()).update.pause({ reason })
  }

  async resume(): Promise<void> {
    await (await this.#handle()).update.resume()
  }

  async status(): Promise<ControllerStatus> {
    const { name } = this.#options
    const job = this.#options.job.internals
    const pool = controlPool(job.pool, name)
    const found = await this.#described()
    const base = { name, pool, lastError: found?.lastError, owner: await this.#owner(pool, found?.owner.session) }
    const state = found?.state
    if (found === undefined || state === undefined)
      return {
        ...base,
        state: found === undefined ? "absent" : "running",
        paused: undefined,
        passes: 0,
        approval: undefined,
        last: undefined,
      }
    return {
      ...base,
      state: state.paused === null ? "running" : "paused",
      paused: state.paused === null ? undefined : { reason: state.paused.reason, at: new Date(state.paused.at) },
      passes: state.passes,
      approval: state.approval ?? undefined,
      last: state.last ?? undefined,
    }
  }

  /** Asks for a pass and waits for the first one that began after the request was applied. */
  async #pass(options: WaitOptions, request: (handle: ControllerHandle) => Promise<{ readonly passes: number }>): Promise<PassReport> {
    const timeout = toMillis(options.timeout ?? "30 seconds", "timeout")
    const deadline = performance.now() + timeout
    const { passes } = await request(await this.#handle())
    for (;;) {
      const state: ControllerState | undefined = (await this.#described())?.state
      if (state?.last !== undefined && state.last !== null && state.passes > passes) return state.last
      if (state?.paused !== undefined && state.paused !== null)
        throw new WaitTimeout(
          `controller ${this.name} is paused (${state.paused.reason}): the request is kept, and takes effect at resume()`,
          {},
        )
      if (performance.now() > deadline)
        throw new WaitTimeout(`controller ${this.name} did not end a pass within ${timeout} ms. The request is kept: look at status().`, {
          timeout,
        })
      await delay(pollMs)
    }
  }

  async #client(): Promise<ReturnType<typeof controllerClient>> {
    return controllerClient(await this.#options.job.internals.engine(), this.#options.job.internals.pool, this.name)
  }

  async #handle(): Promise<ControllerHandle> {
    if ((await this.#described()) === undefined)
      throw new RunNotFound(
        `expected controller ${this.name} of pool ${this.#options.job.internals.pool} to run, but nobody has started it: pass it to a worker, or call controller.run()`,
        {
          controller: this.name,
        },
      )
    return (await this.#client()).controller.get(this.name)
  }

  /** The controller's run as it is stored; undefined when there is none. Only reads: it does not create the controller's pool. */
  async #described(): Promise<Awaited<ReturnType<ControllerHandle["describe"]>> | undefined> {
    const { name } = this.#options
    const job = this.#options.job.internals
    const engine = await job.engine()
    if ((await engine.poolInfo(controlPool(job.pool, name))) === undefined) return undefined
    try {
      return await (await this.#client()).controller.get(name).describe()
    } catch (error) {
      if (error instanceof PonosError && RunNotFound.is(error)) return undefined
      throw error
    }
  }

  async #owner(pool: string, session: string | undefined): Promise<ControllerStatus["owner"]> {
    if (session === undefined || session === "") return undefined
    const { members } = await (await this.#options.job.internals.engine()).members(pool)
    const record = members.find((member) => member.session === session)?.record
    const { host: name, pid } = record === undefined ? {} : (JSON.parse(record) as { readonly host?: string; readonly pid?: number })
    return { session, host: name, pid }
  }
}

/**
 * Compares desired tenants with running jobs, level-triggered, and closes the difference: creates, updates and stops, but only runs that it
 * started itself. Nothing happens before it is hosted: by a worker (`controllers`) or by `run()`.
 */
export const createController = <J extends ControlledJob>(options: ControllerOptions<J>): Controller =>
  new ControllerImpl(readOptions(options as ControllerOptions<ControlledJob>))
