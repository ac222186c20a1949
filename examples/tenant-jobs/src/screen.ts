/**
 * Where the demo prints. On a terminal the table is redrawn in place below the lines said so far; elsewhere there are plain lines only, and
 * one line of state now and then.
 */
import type { WriteStream } from "node:tty"
import { seconds, tableLines, type View } from "./table.ts"

export interface Screen {
  /** A line that stays. */
  say(line: string): void
  /** Redraws the table; elsewhere prints its summary if the last one is some seconds old. */
  show(view: View): void
  /** Removes the table, for what is printed last. */
  clear(): void
}

const plainEveryMs = 5_000

export const openScreen = (out: NodeJS.WriteStream & { readonly fd: 1 | 2 }): Screen => (out.isTTY ? terminal(out) : plain(out))

const plain = (out: NodeJS.WritableStream): Screen => {
  let lastMs = 0
  return {
    say: (line) => void out.write(`${line}\n`),
    show: ({ elapsedMs, workers, tenants }) => {
      if (elapsedMs - lastMs < plainEveryMs) return
      lastMs = elapsedMs
      const total = (count: (tenant: View["tenants"][number]) => number) => tenants.reduce((sum, tenant) => sum + count(tenant), 0)
      const owners = workers.filter(({ state }) => state === "running").map(({ name, shards, tenants: own }) => `${name} ${shards}/${own}`)
      out.write(
        `${seconds(elapsedMs)}    ${tenants.length} tenants, ${total(({ delivered }) => delivered)} delivered, lag ${total(({ lag }) => lag)};` +
          ` shards/tenants: ${owners.join(", ")}\n`,
      )
    },
    clear: () => {},
  }
}

const terminal = (out: WriteStream): Screen => {
  let drawn = 0
  const erase = () => (drawn === 0 ? "" : `\u001b[${drawn}A\u001b[J`)
  let last: View | undefined
  const draw = (before: string) => {
    const lines = last === undefined ? [] : tableLines(last, { columns: out.columns, rows: out.rows })
    out.write(`${erase()}${before}${lines.map((line) => `${line}\n`).join("")}`)
    drawn = lines.length
  }
  return {
    say: (line) => draw(`${line}\n`),
    show: (view) => {
      last = view
      draw("")
    },
    clear: () => {
      last = undefined
      draw("")
    },
  }
}
