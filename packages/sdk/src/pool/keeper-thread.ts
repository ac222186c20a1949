/**
 * The lease thread: keeps the leases of all sessions of this process on one store (S4), so that nothing which the main loop does holds a
 * renewal up, and ends the process whose loop does not end its jobs (S5). It has an engine of its own: on Redis the renewal connection of
 * lives.ts, on a file another handle of it.
 *
 * One thread for a store and not one for a session: it costs 13 MiB on a file and 20 MiB on Redis, and 50 and 115 ms of processor time to start
 * (Node 26.10; docs/decisions/0006-lease-thread.md).
 */
import { parentPort, workerData, type MessagePort } from "node:worker_threads"
import type { Engine } from "../engine/engine.ts"
import { openEngine } from "../engine/open.ts"
import { sharedNow } from "./clock.ts"
import { toFailure, type Birth, type KeepRequest, type Report, type Request } from "./keeper-messages.ts"
import { Keeper } from "./keeper.ts"
import { LeaseMemory } from "./lease-memory.ts"
import { LoopWatch } from "./loop-watch.ts"
import { Overrun } from "./overrun.ts"

interface Kept {
  readonly keeper: Keeper
  readonly overrun: Overrun | undefined
}

class LeaseThread {
  readonly #port: MessagePort
  readonly #engine: Engine
  readonly #kept = new Map<string, Kept>()
  readonly #loop: LoopWatch

  constructor(port: MessagePort, engine: Engine) {
    this.#port = port
    this.#engine = engine
    this.#loop = new LoopWatch({
      clock: sharedNow,
      onBlocked: (blocked) => this.#tell({ type: "blocked", blocked }),
      onSuspended: (ms) => this.#tell({ type: "suspended", ms }),
    })
  }

  #tell(report: Report): void {
    this.#port.postMessage(report)
  }

  handle(request: Request): void {
    switch (request.type) {
      case "keep":
        return this.#keep(request)
      case "peers":
        return this.#kept.get(request.session)?.keeper.setPeers(request.peers)
      case "life":
        return this.#kept.get(request.session)?.keeper.setLife(request.life)
      case "renew":
        return this.#kept.get(request.session)?.keeper.renewNow()
      case "handled":
        return this.#kept.get(request.session)?.overrun?.handled(request.what)
      case "stop":
        return this.#stop(request.session)
      case "follow": {
        const { pool } = request
        return this.#answer(
          request.call,
          this.#engine.presence(pool, (presence) => this.#tell({ type: "presence", pool, presence })),
        )
      }
      case "update": {
        const { pool, session, record, from } = request
        return this.#answer(request.call, this.#engine.updateMember(pool, { session, record }, from))
      }
      case "close":
        return void this.#close()
    }
  }

  #answer(call: number, answer: Promise<unknown>): void {
    answer.then(
      (value) => this.#tell({ type: "answer", call, value }),
      (error: unknown) => this.#tell({ type: "refusal", call, failure: toFailure(error) }),
    )
  }

  #keep({ pool, session, options, onOverrun, sentAt, memory: buffer }: KeepRequest): void {
    const memory = new LeaseMemory(buffer)
    const overrun = onOverrun === "exit" ? new Overrun(sharedNow, this.#loop) : undefined
    const keeper = new Keeper({
      engine: this.#engine,
      pool,
      session,
      options,
      sentAt,
      memory,
      clock: sharedNow,
      inLoop: false,
      events: {
        onReading: ({ memberVersion, assignmentVersion, now }, at) =>
          this.#tell({ type: "reading", session, reading: { memberVersion, assignmentVersion, now }, at }),
        onAbort: (why) => {
          this.#tell({ type: "abort", session, why })
          overrun?.abort()
        },
        onDepose: (why) => {
          this.#tell({ type: "depose", session, why })
          overrun?.depose()
        },
        onResume: () => this.#tell({ type: "resume", session }),
        onMarkedDead: (other, by) => this.#tell({ type: "markedDead", session, other, by }),
        onMarkRefused: () => this.#tell({ type: "markRefused", session }),
        onStore: (error) => this.#tell({ type: "store", session, failure: error === undefined ? undefined : toFailure(error) }),
        onDead: () => this.#tell({ type: "dead", session }),
      },
    })
    this.#kept.set(session, { keeper, overrun })
    this.#loop.watch(session, { memory, maxStallMs: options.maxStallMs })
    keeper.start()
  }

  #stop(session: string): void {
    const kept = this.#kept.get(session)
    this.#kept.delete(session)
    kept?.keeper.stop()
    kept?.overrun?.stop()
    this.#loop.unwatch(session)
  }

  async #close(): Promise<void> {
    for (const session of this.#kept.keys()) this.#stop(session)
    await Promise.all([this.#engine.close(), this.#loop.told])
    this.#port.close()
  }
}

const start = async (port: MessagePort): Promise<void> => {
  const { url, options } = workerData as Birth
  const tell = (report: Report): void => port.postMessage(report)
  try {
    // What is to be warned of a server, the main loop's own engine has said. On a file this one may have killed a frozen writer.
    const onWarning = (text: string): void => {
      if (url.startsWith("file:")) tell({ type: "warning", text })
    }
    // A thread in a thread would only be one more.
    const engine = await openEngine(url, { ...options, ownThread: false, onWarning })
    const thread = new LeaseThread(port, engine)
    port.on("message", (request: Request) => thread.handle(request))
    tell({ type: "ready" })
  } catch (error) {
    tell({ type: "failed", failure: toFailure(error) })
  }
}

if (parentPort === null) throw new Error("this file is started by Ponos, as a thread: use createWorker")
await start(parentPort)
