/** The thread in which the engines of one file work (S9): it opens them in process, and passes calls, answers and what listeners hear. */
import { parentPort } from "node:worker_threads"
import type { Engine, Unsubscribe } from "../engine.ts"
import { Outbox } from "./outbox.ts"
import { openInProcess } from "./sqlite-engine.ts"
import { toFailure, type Report, type Request } from "./thread-messages.ts"

const port = parentPort
if (port === null)
  throw new Error("expected engine-thread to be started as a thread by threaded-engine, got: a process. Do not run it by hand.")

const engines = new Map<number, Engine>()
/** What ends each listener, and each life. */
const ends = new Map<number, { readonly engine: number; readonly end: Unsubscribe }>()
// Answers of one batch come in one turn of promises, and must not wait for the next transaction.
const outbox = new Outbox<Report>((reports) => port.postMessage(reports), queueMicrotask)

const engineOf = (number: number): Engine => {
  const engine = engines.get(number)
  if (engine === undefined) throw new Error(`expected an engine that was opened, got: number ${number}`)
  return engine
}

/** The thread lives on for other engines of the file. */
const forget = (number: number): void => {
  engines.delete(number)
  for (const [listener, { engine }] of ends) if (engine === number) ends.delete(listener)
}

const listen = (listener: number): ((value?: unknown) => void) => {
  return (value) => outbox.say({ type: "heard", listener, value })
}

const serve = async (request: Request): Promise<unknown> => {
  switch (request.do) {
    case "open": {
      const { engine, url, options } = request
      engines.set(engine, await openInProcess(url, { ...options, onWarning: (text) => outbox.say({ type: "warning", engine, text }) }))
      return undefined
    }
    case "verb": {
      const engine = engineOf(request.engine)
      const verb = engine[request.verb] as (...args: ReadonlyArray<unknown>) => Promise<unknown>
      if (request.verb === "close") forget(request.engine)
      return await verb.call(engine, ...request.args)
    }
    case "listen": {
      const engine = engineOf(request.engine)
      const verb = engine[request.verb] as (...args: ReadonlyArray<unknown>) => Promise<Unsubscribe>
      const end = await verb.call(engine, ...request.args, listen(request.listener))
      ends.set(request.listener, { engine: request.engine, end })
      return undefined
    }
    case "live": {
      const { pool, session, listener } = request
      const handle = await engineOf(request.engine).registerLife(pool, session, { onChange: listen(listener) })
      ends.set(listener, { engine: request.engine, end: () => handle.end() })
      return handle.life
    }
    case "end": {
      const found = ends.get(request.listener)
      ends.delete(request.listener)
      return await found?.end()
    }
  }
}

port.on("message", (requests: ReadonlyArray<Request>) => {
  for (const request of requests) {
    const { call } = request
    serve(request).then(
      (value) => outbox.say({ type: "answer", call, value }),
      (error: unknown) => outbox.say({ type: "failure", call, error: toFailure(error) }),
    )
  }
})
