/**
 * Writes down when a worker ran whose handler, from the inside: the handlers are wrapped, and the store is not asked. The begin is noted
 * before the handler starts and the end after it has settled, so a recorded interval is never shorter than the real one.
 */
import type { JobHandlers } from "@ponos/sdk/gen"
import { openRecord, type Handler, type WorkerRecord } from "./records.ts"

export interface Recorder {
  /** The same job, with every execution of its handlers recorded. */
  job<J extends JobHandlers<any>>(job: J): J
  joined(session: string): void
  assigned(sessions: ReadonlyArray<string>): void
  shard(event: string, shard: number): void
  close(): void
}

interface Seen {
  readonly key: string
  readonly input?: { readonly label?: string }
  readonly iteration?: number
}

export const openRecorder = (path: string): Recorder => {
  const file = openRecord<WorkerRecord>(path)
  let ids = 0
  const begin = (handler: Handler, { key, input, iteration }: Seen): (() => void) => {
    const id = ++ids
    const label = input?.label
    file.write({
      type: "begin",
      id,
      handler,
      tenant: key,
      ...(label === undefined ? {} : { label }),
      ...(iteration === undefined ? {} : { iteration }),
    })
    return () => file.write({ type: "end", id })
  }
  /** Ends after the value, or after the promise of it, has settled. */
  const during = <A>(end: () => void, run: () => A): A => {
    let result: A
    try {
      result = run()
    } catch (error) {
      end()
      throw error
    }
    if (result instanceof Promise) return result.finally(end) as A
    end()
    return result
  }
  return {
    job: (job) => {
      const { open, close, run, updates, queries } = job.handlers
      const holds = new WeakMap<object, { readonly seen: Seen; readonly end: () => void }>()
      const record = <H extends (context: any, argument: any) => unknown>(handler: Handler, handle: H) =>
        ((context, argument) => during(begin(handler, context as Seen), () => handle(context, argument))) as H
      const recordAll = (handler: Handler, handles: typeof updates) =>
        Object.fromEntries(Object.entries(handles ?? {}).map(([name, handle]) => [name, record(handler, handle)]))
      const recordedOpen = async (context: Seen) => {
        const endHold = begin("hold", context)
        try {
          const resource = (await during(begin("open", context), () => open?.(context))) as object
          holds.set(resource, { seen: context, end: endHold })
          return resource
        } catch (error) {
          endHold()
          throw error
        }
      }
      const recordedClose = async (resource: object) => {
        const hold = holds.get(resource)
        try {
          return await during(begin("close", hold?.seen ?? { key: "unknown" }), () => close?.(resource))
        } finally {
          hold?.end()
        }
      }
      const handlers = {
        ...job.handlers,
        open: recordedOpen,
        close: recordedClose,
        run: record("run", run),
        updates: recordAll("update", updates),
        queries: recordAll("query", queries),
      }
      return { ...job, handlers }
    },
    joined: (session) => file.write({ type: "joined", session }),
    assigned: (workers) => file.write({ type: "assigned", workers }),
    shard: (event, shard) => file.write({ type: "shard", event, shard }),
    close: () => file.close(),
  }
}
