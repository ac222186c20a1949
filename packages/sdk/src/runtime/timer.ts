/** Local waits for a time of the store's clock. */
/** `setTimeout` overflows at 24.8 days: longer waits are cut (W8). */
const maxTimer = 60_000

/** A wait for a time of the store's clock: looked at again when a test moves it. */
export interface Wait {
  readonly due: number
  check(): void
}
export interface TimeSource {
  readonly shard: { now(): number }
  readonly waits: Set<Wait>
}

/** Calls back when the store's clock has reached `due`; gives a function that stops it. */
export const atTime = (attempt: TimeSource, due: number, then: () => void): (() => void) => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const check = (): void => {
    clearTimeout(timer)
    const left = due - attempt.shard.now()
    if (left > 0) timer = setTimeout(check, Math.min(Math.ceil(left), maxTimer))
    else {
      attempt.waits.delete(wait)
      then()
    }
  }
  const wait = { due, check }
  attempt.waits.add(wait)
  check()
  return () => {
    clearTimeout(timer)
    attempt.waits.delete(wait)
  }
}
