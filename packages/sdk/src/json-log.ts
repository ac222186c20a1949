/** Events of a worker as lines of JSON, for machines that read logs. */
import type { WorkerEvent } from "./worker.ts"

const levels: Readonly<Partial<Record<WorkerEvent["type"], string>>> = {
  warning: "warn",
  failed: "error",
  activityFailed: "warn",
  blocked: "error",
  closeFailed: "error",
  unsent: "error",
  stuck: "error",
  lacking: "error",
  overrun: "error",
  fault: "error",
  storeLost: "error",
  deposed: "warn",
  loopBlocked: "warn",
  suspended: "warn",
}

/** Errors by name, code and message, big integers and the rest as text. */
const plain = (_: string, value: unknown): unknown => {
  if (value instanceof Error) {
    const { name, message, code } = value as Error & { code?: unknown }
    return { name, message, ...(typeof code === "string" ? { code } : {}) }
  }
  return typeof value === "bigint" ? value.toString() : value
}

/** For `createWorker({ onEvent: jsonLog() })`: one line for each event, with `time`, `level`, `event`, and what the event has (kind, key, run, attempt, error …). */
export const jsonLog =
  (write: (line: string) => void = (line) => void process.stderr.write(line)): ((event: WorkerEvent) => void) =>
  ({ type, ...rest }) =>
    write(`${JSON.stringify({ time: new Date().toISOString(), level: levels[type] ?? "info", event: type, ...rest }, plain)}\n`)
