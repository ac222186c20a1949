/** What every process that the demo starts does first. */

import { rmSync } from "node:fs"

const leftoversMs = 500

/** The configuration: the parent passes it as the only argument, as JSON. */
export const childConfig = <C>(): C => {
  const text = process.argv[2]
  if (text === undefined) throw new Error(`${process.argv[1]} is started by demo.ts, with its configuration as a JSON argument`)
  return JSON.parse(text) as C
}

/** Ends this process when the one that started it is gone, however it went. `leftovers` is a directory to remove then. */
export const dieWithParent = (leftovers?: string): void => {
  process.on("disconnect", () => {
    if (leftovers !== undefined) {
      // The other processes die in the same moment; what they still write must not bring files back.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, leftoversMs)
      rmSync(leftovers, { recursive: true, force: true, maxRetries: 5 })
    }
    // A handler that goes on now would be a job without its operator.
    process.kill(process.pid, "SIGKILL")
  })
}
