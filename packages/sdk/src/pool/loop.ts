/** Calls `body` every `ms`, one call at a time; `hurry` calls it at once, or once more when it is running. */
export interface Loop {
  hurry(): void
  stop(): void
}

export const startLoop = (ms: number, body: () => Promise<void>, onFault: (error: unknown) => void): Loop => {
  let timer: NodeJS.Timeout | undefined
  let running = false
  let again = false
  let stopped = false
  const turn = (): void => {
    timer = undefined
    running = true
    again = false
    body()
      .catch(onFault)
      .finally(() => {
        running = false
        if (stopped) return
        if (again) turn()
        else timer = setTimeout(turn, ms)
      })
      .catch(onFault)
  }
  timer = setTimeout(turn, ms)
  return {
    hurry() {
      if (stopped) return
      if (running) {
        again = true
        return
      }
      clearTimeout(timer)
      turn()
    },
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}

/** Runs `body` soon, once for all calls until it begins, and once more for those that come while it runs. */
export const coalesce = (body: () => Promise<void>, onFault: (error: unknown) => void): (() => void) => {
  let state: "idle" | "scheduled" | "running" | "again" = "idle"
  const run = (): void => {
    state = "running"
    body()
      .catch(onFault)
      .finally(() => {
        const more = state === "again"
        state = "idle"
        if (more) request()
      })
      .catch(onFault)
  }
  const request = (): void => {
    if (state === "running") state = "again"
    if (state !== "idle") return
    state = "scheduled"
    setImmediate(run)
  }
  return request
}

/** True when `promise` settled within `ms`. */
export const settlesWithin = async (promise: Promise<unknown>, ms: number): Promise<boolean> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, ms, false)))
  try {
    return await Promise.race([
      promise.then(
        () => true,
        () => true,
      ),
      late,
    ])
  } finally {
    clearTimeout(timer)
  }
}
