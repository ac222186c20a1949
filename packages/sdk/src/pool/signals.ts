const exits = ["SIGTERM", "SIGINT"] as const

/**
 * Calls `leave` at the first SIGTERM or SIGINT, for draining. A second one ends the process at once, as it would without handlers: a drain
 * that hangs can always be interrupted. Returns a function that removes the handlers.
 */
export const onSignals = (leave: (signal: NodeJS.Signals) => unknown): (() => void) => {
  const remove = (): void => {
    for (const signal of exits) process.off(signal, handle)
  }
  const handle = (signal: NodeJS.Signals): void => {
    remove()
    leave(signal)
  }
  for (const signal of exits) process.on(signal, handle)
  return remove
}
