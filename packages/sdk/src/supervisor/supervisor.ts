/** `supervise`: the loop around the core (fleet.ts). It starts and ends processes and sets timers as the core says, and decides nothing. */
import { BadOption, WorkersFailed } from "../errors.ts"
import type { PonosError } from "../errors.ts"
import type { OptionName, Options } from "../options.ts"
import { optionTable, readOptions, refuseUnknown } from "../options.ts"
import { restartDelays } from "./backoff.ts"
import type { Charge } from "./channel.ts"
import type { SupervisorEvent } from "./events.ts"
import { describeEvent } from "./events.ts"
import type { Fleet, FleetAction, FleetEvent, MemberPhase } from "./fleet.ts"
import { beginFleet, isAlive, stepFleet } from "./fleet.ts"
import { findModule } from "./module.ts"
import { WorkerProcess } from "./process.ts"

export const supervisorOptionNames = [
  "processes",
  "drainMs",
  "restartFirstMs",
  "restartMaxMs",
  "healthyMs",
  "startTries",
] as const satisfies ReadonlyArray<OptionName>

export interface SuperviseOptions extends Partial<Pick<Options, (typeof supervisorOptionNames)[number]>> {
  /** File that starts a worker, or exports what one is made of: its path from the working directory, or its URL. */
  readonly module: string | URL
  /** Arguments of the processes: `process.argv` from its third on. */
  readonly args?: ReadonlyArray<string>
  /** Their environment; default: this process's. */
  readonly env?: NodeJS.ProcessEnv
  /**
   * Worker 1 serves its metrics at `http://host:port/metrics` for Prometheus, worker 2 at the next port, and so on; default host: 127.0.0.1, which
   * only this machine reaches.
   */
  readonly metrics?: { readonly port: number; readonly host?: string }
  /** Drain at SIGTERM and SIGINT, and kill at the second one; default true. */
  readonly signals?: boolean
  /** Default: a line on stderr. */
  readonly onEvent?: (event: SupervisorEvent) => void
  /** What the processes write; default: the same stream of this process, each line with the number of its process before it. */
  readonly onLine?: (line: string, number: number, stream: "stdout" | "stderr") => void
}

export interface ProcessView {
  /** 1 … processes. */
  readonly number: number
  /** `undefined` while there is none. */
  readonly pid: number | undefined
  readonly phase: MemberPhase
  /** How often it was started again. */
  readonly restarts: number
}

export interface SupervisorEnd {
  /** It was asked to stop, and all processes drained and ended well. */
  readonly clean: boolean
  /** Why it gave up. */
  readonly error?: PonosError
}

export interface Supervisor {
  /** Resolves when all processes have ended; never rejects. */
  readonly stopped: Promise<SupervisorEnd>
  processes(): ReadonlyArray<ProcessView>
  /**
   * So many processes from now on, 0 … 256: starts those that lack, drains those with the highest numbers, and kills what has not drained after
   * `drainMs`. Throws `BadOption`; nothing happens once it stops.
   */
  scale(processes: number): void
  /** Drains all processes, and kills those that are there after `drainMs`. Resolves with `stopped`. */
  stop(): Promise<SupervisorEnd>
  /** Kills them at once. */
  kill(): Promise<SupervisorEnd>
}

/** Starts processes that run the worker of `module`, and keeps them running. Throws `BadOption` and `ModuleUnusable` before it starts any. */
// oxlint-disable-next-line typescript/require-await -- refusals are rejections, as those of all other calls that start something
export const supervise = async (options: SuperviseOptions): Promise<Supervisor> => {
  const names = ["module", "args", "env", "metrics", "signals", "onEvent", "onLine", ...supervisorOptionNames]
  refuseUnknown(options, names, "supervise")
  const chosen = { ...readOptions(options as unknown as Record<string, unknown>, supervisorOptionNames) }
  if (options.restartMaxMs === undefined) chosen.restartMaxMs = Math.max(chosen.restartMaxMs, chosen.restartFirstMs)
  if (chosen.restartMaxMs < chosen.restartFirstMs)
    throw new BadOption(`expected restartMaxMs to be at least restartFirstMs (${chosen.restartFirstMs}), got: ${chosen.restartMaxMs}`, {
      option: "restartMaxMs",
    })
  checkMetrics(options.metrics)
  return new Loop({ ...options, ...chosen, module: findModule(options.module) })
}

const checkMetrics = (metrics: SuperviseOptions["metrics"]): void => {
  if (metrics === undefined) return
  refuseUnknown(metrics, ["port", "host"], "metrics of supervise")
  const { max } = optionTable.processes
  // each process has a port of its own
  const last = 65_536 - max
  if (!Number.isInteger(metrics.port) || metrics.port < 1 || metrics.port > last)
    throw new BadOption(`expected metrics.port to be an integer from 1 to ${last}, got: ${String(metrics.port)}`, { option: "metrics" })
  if (metrics.host !== undefined && (typeof metrics.host !== "string" || metrics.host === ""))
    throw new BadOption(`expected metrics.host to be a host name or address, got: ${JSON.stringify(metrics.host)}`, { option: "metrics" })
}

type LoopOptions = SuperviseOptions & { readonly module: string } & Pick<Options, (typeof supervisorOptionNames)[number]>

const print = (event: SupervisorEvent): void => {
  const line = describeEvent(event)
  if (line !== undefined) process.stderr.write(`ponos: ${line}\n`)
}

class Loop implements Supervisor {
  readonly stopped: Promise<SupervisorEnd>
  readonly #options: LoopOptions
  readonly #tell: (event: SupervisorEvent) => void
  readonly #line: (line: string, number: number, stream: "stdout" | "stderr") => void
  readonly #end: (end: SupervisorEnd) => void
  readonly #processes = new Map<number, WorkerProcess>()
  /** Of each number its back-off or the time until it is healthy, and under 0 the deadline. */
  readonly #timers = new Map<number, NodeJS.Timeout>()
  readonly #unsignal: () => void
  #fleet: Fleet
  #why = ""

  constructor(options: LoopOptions) {
    this.#options = options
    this.#tell = options.onEvent ?? print
    const width = (): number => String(this.#fleet.policy.processes).length
    this.#line = options.onLine ?? ((line, number, stream) => process[stream].write(`${String(number).padStart(width())} | ${line}\n`))
    const { promise, resolve } = Promise.withResolvers<SupervisorEnd>()
    this.stopped = promise
    this.#end = resolve
    this.#unsignal = (options.signals ?? true) ? this.#onSignals() : () => undefined
    const { processes, startTries, restartFirstMs, restartMaxMs } = options
    const [fleet, actions] = beginFleet({ processes, tries: startTries, delaysMs: restartDelays(restartFirstMs, restartMaxMs) })
    this.#fleet = fleet
    for (const action of actions) this.#act(action)
  }

  processes(): ReadonlyArray<ProcessView> {
    return this.#fleet.members.map(({ number, life, phase }) => ({
      number,
      pid: this.#processes.get(number)?.pid,
      phase,
      restarts: life - 1,
    }))
  }

  scale(processes: number): void {
    const { max } = optionTable.processes
    if (!Number.isInteger(processes) || processes < 0 || processes > max)
      throw new BadOption(`expected scale to get a number of processes from 0 to ${max}, got: ${String(processes)}`, {
        option: "processes",
      })
    const from = this.#fleet.policy.processes
    if (processes === from || this.#fleet.phase !== "open") return
    this.#tell({ type: "scaling", from, to: processes })
    this.#step({ type: "scale", processes })
  }

  stop(): Promise<SupervisorEnd> {
    return this.#close("stop", "stop() was called")
  }

  kill(): Promise<SupervisorEnd> {
    return this.#close("kill", "kill() was called")
  }

  #close(type: "stop" | "kill", why: string): Promise<SupervisorEnd> {
    this.#why = why
    this.#step({ type })
    return this.stopped
  }

  #onSignals(): () => void {
    let first = true
    const handle = (signal: NodeJS.Signals): void => {
      void this.#close(first ? "stop" : "kill", first ? `got ${signal}` : `got ${signal} again`)
      first = false
    }
    process.on("SIGTERM", handle)
    process.on("SIGINT", handle)
    return () => {
      process.off("SIGTERM", handle)
      process.off("SIGINT", handle)
    }
  }

  #step(event: FleetEvent): void {
    const before = this.#fleet
    const [fleet, actions] = stepFleet(before, event)
    this.#fleet = fleet
    const living = before.members.filter((member) => isAlive(member) && !("number" in event && event.number === member.number)).length
    // what is forgotten has nothing more to wait for (F8)
    for (const { number } of before.members) if (!fleet.members.some((member) => member.number === number)) this.#clear(number)
    if (before.fault === undefined && fleet.fault !== undefined) this.#why = `worker ${fleet.fault.number} does not start`
    if (before.phase === "open" && fleet.phase !== "open") for (const { number } of fleet.members) this.#clear(number)
    if (living > 0 && before.phase === "open" && fleet.phase !== "open" && actions.some(({ type }) => type === "drain"))
      this.#tell({ type: "draining", why: this.#why, processes: living })
    if (living > 0 && fleet.phase === "killing" && actions.some(({ type }) => type === "kill"))
      this.#tell({ type: "killing", why: this.#why, processes: living })
    if (event.type === "overdue" && actions.length > 0)
      this.#tell({ type: "killing", why: `worker ${event.number} not drained after ${this.#options.drainMs} ms`, processes: 1 })
    for (const action of actions) this.#act(action)
  }

  #act(action: FleetAction): void {
    switch (action.type) {
      case "start":
        return this.#start(action.number, action.life)
      case "wait": {
        const { number, life, failures, delayMs } = action
        this.#tell({ type: "restarting", number, failures, delayMs })
        return this.#later(number, delayMs, { type: "due", number, life })
      }
      case "drain":
        return this.#processes.get(action.number)?.drain()
      case "kill":
        return this.#processes.get(action.number)?.kill()
      case "limit":
        return this.#later(action.number, this.#options.drainMs, { type: "overdue", number: action.number, life: action.life })
      case "deadline":
        return this.#later(0, this.#options.drainMs, { type: "deadline" })
      case "end": {
        this.#clear(0)
        this.#unsignal()
        if (action.fault === undefined) return this.#end({ clean: action.clean })
        const { number, tries, why } = action.fault
        const error = new WorkersFailed(
          `expected ${this.#options.module} to start a worker that lives, got: worker ${number} ended ${tries === 1 ? "at its start" : `${tries} times in a row`}` +
            `${why === "" ? "" : ` (${why})`}, and none was ever healthy. Mend what it says, and start again.`,
          { ...action.fault, module: this.#options.module },
        )
        this.#tell({ type: "gaveUp", error })
        return this.#end({ clean: false, error })
      }
    }
  }

  #start(number: number, life: number): void {
    const { module, drainMs, healthyMs, args = [], env = process.env } = this.#options
    const { processes } = this.#fleet.policy
    const metrics = this.#metricsOf(number)
    const child = new WorkerProcess(
      { module, number, processes, drainMs, ...(metrics === undefined ? {} : { metrics }) },
      { args, env },
      {
        ready: () => {
          clearTimeout(slow)
          this.#step({ type: "ready", number, life })
          if (this.#isRunning(number)) this.#later(number, healthyMs, { type: "healthy", number, life })
          this.#tell({ type: "ready", number, pid: child.pid })
        },
        line: (line, stream) => this.#line(line, number, stream),
        died: ({ code, signal, why, hopeless, livedMs }) => {
          clearTimeout(slow)
          this.#clear(number)
          this.#processes.delete(number)
          this.#tell({ type: "exited", number, pid: child.pid, code, signal, why, livedMs })
          const how = why !== "" ? why : signal === null ? `code ${code}` : signal
          this.#step({ type: "died", number, life, code, signal, why: how, hopeless })
        },
      },
    )
    const slow = setTimeout(() => {
      if (this.#fleet.phase === "open") this.#tell({ type: "notReady", number, pid: child.pid, ms: healthyMs })
    }, healthyMs)
    this.#processes.set(number, child)
    if (child.pid !== 0) this.#tell({ type: "started", number, pid: child.pid })
  }

  #metricsOf(number: number): Charge["metrics"] {
    const { metrics } = this.#options
    return metrics === undefined ? undefined : { host: metrics.host ?? "127.0.0.1", port: metrics.port + number - 1 }
  }

  /** Nothing else is waited for in its slot. */
  #isRunning(number: number): boolean {
    return this.#fleet.phase === "open" && this.#fleet.members.some((member) => member.number === number && member.phase === "running")
  }

  #later(slot: number, ms: number, event: FleetEvent): void {
    this.#clear(slot)
    this.#timers.set(
      slot,
      setTimeout(() => {
        if (event.type === "deadline") this.#why = `not drained after ${ms} ms`
        this.#step(event)
      }, ms),
    )
  }

  #clear(slot: number): void {
    clearTimeout(this.#timers.get(slot))
    this.#timers.delete(slot)
  }
}
