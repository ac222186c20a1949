/**
 * The main module of a worker process: loads the user's module, drains its workers when it is asked to or when its supervisor is gone, and
 * ends the process when they have stopped.
 */
import { pathToFileURL } from "node:url"
import { PoolShutDown, StoreUnavailable } from "../errors.ts"
import type { Supervised } from "../supervision.ts"
import { superviseHere } from "../supervision.ts"
import type { Charge, Report, Request } from "./channel.ts"
import { chargeName } from "./channel.ts"
import { startModule } from "./module.ts"

/** A process whose workers have stopped has so long to end by itself. */
const lingerMs = 1_000
/** Share of the time for draining after which workers abandon handlers; the rest is for handing over. */
const handlersShare = 0.8

const text = process.env[chargeName]
if (text === undefined || process.send === undefined) throw new Error("this file is started by the supervisor: run ponos worker <module>")
delete process.env[chargeName] // processes that the module starts are not supervised
const { module, number, processes, drainMs, metrics } = JSON.parse(text) as Charge
process.argv.splice(1, 1, module) // as if it were started by node itself

const tell = (report: Report, then: () => void = () => undefined): void => {
  if (process.connected) process.send?.(report, undefined, undefined, then)
  else then()
}
const describe = (error: unknown): string => {
  const text =
    error instanceof Error ? (error.message.startsWith(error.name) ? error.message : `${error.name}: ${error.message}`) : String(error)
  return text.split("\n")[0] ?? ""
}
const isTerminal = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "fate" in error && error.fate === "terminal" && !ready
const failed = (error: unknown): Report => ({ type: "failed", why: describe(error), hopeless: isTerminal(error) })

let ready = false
let loaded = false
let leaving = false
let ending = false
const running = new Set<Promise<Supervised>>()
let started = false

const follow = async (starting: Promise<Supervised>): Promise<void> => {
  started = true
  running.add(starting)
  try {
    const worker = await starting
    if (!ready) tell({ type: "ready" })
    ready = true
    if (leaving) void worker.drain()
    await worker.stopped
  } catch {
    // whoever called createWorker has the error
  }
  running.delete(starting)
  finish()
}

/** When all workers have stopped, what is left may keep the process only for a moment. */
const finish = (): void => {
  if (!loaded || !started || running.size > 0) return
  ending = true
  if (process.connected) process.disconnect?.()
  setTimeout(() => process.exit(), lingerMs).unref()
}

const leave = (): void => {
  if (leaving) return
  leaving = true
  if (!started) process.exit(0)
  for (const starting of running)
    starting.then(
      (worker) => worker.drain(),
      () => undefined,
    )
}

// For good, unlike those of a worker: a signal may come from the supervisor and from whoever sent it to all (systemd, a terminal), in any
// order, and must not end the process the second time. Who wants that ends the supervisor.
process.on("SIGTERM", leave)
process.on("SIGINT", leave)
/** As a SIGTERM, so that the module's own handlers of it run too; but only the first time. */
const terminate = (): void => {
  if (!leaving) process.emit("SIGTERM", "SIGTERM")
}
process.on("message", (request: Request) => {
  if (request.type === "drain") terminate()
})
process.on("disconnect", () => {
  if (ending) return
  // nobody is there any more who would set a limit
  setTimeout(() => process.kill(process.pid, "SIGKILL"), drainMs).unref()
  terminate()
})
process.channel?.unref()
// the pipes of a supervisor that was killed: what is written there is lost, the drain is not
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined)
process.on("uncaughtExceptionMonitor", (error) => tell(failed(error)))

// a process that is started again can afford to end with the handlers that overlap with the next owner's (S5)
superviseHere({ defaults: { drainMs: Math.floor(drainMs * handlersShare), onOverrun: "exit" }, started: (worker) => void follow(worker) })
// work matters more than its metrics: a port that is taken is told, and no more
if (metrics !== undefined)
  void import("./metrics-server.ts")
    .then(({ serveMetrics }) => serveMetrics(metrics))
    .catch((error: unknown) => console.error(`ponos: no metrics at ${metrics.host}:${metrics.port}: ${describe(error)}`))
try {
  const exports = (await import(pathToFileURL(module).href)) as Record<string, unknown>
  await startModule(exports, module, { number, processes }, () => started)
  loaded = true
  finish()
} catch (error) {
  // these say it all, and the supervisor prints their words; anything else needs its stack
  if (!isTerminal(error) && !StoreUnavailable.is(error) && !PoolShutDown.is(error)) console.error(error)
  tell(failed(error), () => process.exit(1))
}
