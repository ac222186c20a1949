/**
 * What the processes write down, outside the store: one JSON object a line, each with `t`, the host's monotonic clock in nanoseconds
 * (`process.hrtime`, the same for all processes of one host). The verdict is computed from these files alone.
 */
import { closeSync, openSync, writeSync } from "node:fs"

/** One request to the receiver. */
export interface DeliveryRecord {
  readonly type: "delivery"
  readonly tenant: string
  readonly fence: string
  /** Idempotency key of the activity. */
  readonly call: string
  readonly label: string
  readonly status: number
  readonly accepted: ReadonlyArray<number>
  readonly redelivered: ReadonlyArray<number>
}

/** `hold` is no handler: it lasts from the beginning of `open` to the end of `close`, while the worker holds the tenant's connection. */
export type Handler = "open" | "run" | "close" | "update" | "query" | "hold"

export type WorkerRecord =
  | { readonly type: "joined"; readonly session: string }
  | {
      readonly type: "begin"
      /** Unique within the file; its `end` has the same. */
      readonly id: number
      readonly handler: Handler
      readonly tenant: string
      /** The `label` of the input that the handler sees. */
      readonly label?: string
      readonly iteration?: number
    }
  | { readonly type: "end"; readonly id: number }
  | { readonly type: "shard"; readonly event: string; readonly shard: number }
  /** It has written an assignment that gives shards to these sessions. */
  | { readonly type: "assigned"; readonly workers: ReadonlyArray<string> }

export type ScriptRecord =
  | { readonly type: "started"; readonly worker: string }
  /** `t` was taken before the signal was sent, `sent` after: at `sent` the process runs no more. */
  | { readonly type: "killed"; readonly worker: string; readonly sent: string }
  | { readonly type: "draining"; readonly worker: string }
  | { readonly type: "exited"; readonly worker: string; readonly code: number | null; readonly signal: string | null }
  /** All shards are owned by these workers, their loads differ by at most one, and nothing moves. */
  | { readonly type: "settled"; readonly workers: ReadonlyArray<string> }
  | { readonly type: "added"; readonly tenants: ReadonlyArray<string> }
  | { readonly type: "deleted"; readonly tenants: ReadonlyArray<string> }
  /** The controller has stopped the jobs of these tenants. */
  | { readonly type: "gone"; readonly tenants: ReadonlyArray<string> }
  /** The rows of these tenants have new settings. */
  | { readonly type: "changed"; readonly tenants: ReadonlyArray<string>; readonly label: string }
  /** The controller has told the jobs of these tenants. */
  | { readonly type: "applied"; readonly tenants: ReadonlyArray<string>; readonly label: string }
  /** No more events: the last number of each tenant. */
  | { readonly type: "silent"; readonly emitted: Readonly<Record<string, number>> }
  /** What the store holds at the end, as the client lists it, and what each job says about itself. */
  | { readonly type: "final"; readonly desired: ReadonlyArray<string>; readonly delivered: Readonly<Record<string, number>> }

/** A record with its time: nanoseconds of the monotonic clock as a decimal string. */
export type Timed<R> = R & { readonly t: string }

export interface RecordFile<R> {
  /** Adds a line, with `t` if given, else the present. The write is synchronous: a SIGKILL leaves all lines before it. */
  write(record: R, t?: bigint): void
  close(): void
}

export const openRecord = <R extends object>(path: string): RecordFile<R> => {
  const file = openSync(path, "a")
  return {
    write: (record, t = process.hrtime.bigint()) => {
      writeSync(file, `${JSON.stringify({ t: t.toString(), ...record })}\n`)
    },
    close: () => closeSync(file),
  }
}

/** Parses complete lines; a line cut off by a SIGKILL is the last one, and left out. */
export const parseRecords = <R>(text: string): Timed<R>[] => {
  const lines = text.split("\n")
  lines.pop()
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Timed<R>)
}
