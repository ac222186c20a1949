/** What every process that the demo starts does first. */

/** The configuration: the parent passes it as the only argument, as JSON. */
export const childConfig = <C>(): C => {
  const text = process.argv[2]
  if (text === undefined) throw new Error(`${process.argv[1]} is started by demo.ts, with its configuration as a JSON argument`)
  return JSON.parse(text) as C
}

/** Ends this process when the one that started it is gone, however it went. */
export const dieWithParent = (): void => {
  // Nothing can be reported to anybody any more, and a handler that goes on would be a job without its operator.
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"))
}
