/** Monotonic clocks of a process: `performance.now()` begins at another moment in each thread, `process.hrtime` does not. */

const tries = 5

/** Ms by which the clock that all threads share is ahead of this thread's `performance.now()`: the same clock, read from another moment. */
const measure = (): number => {
  let best = { offset: 0, width: Number.POSITIVE_INFINITY }
  // A thread that was taken off its core between two readings reads far apart: the narrowest reading counts.
  for (let n = 0; n < tries; n++) {
    const before = performance.now()
    const shared = Number(process.hrtime.bigint()) / 1e6
    const after = performance.now()
    if (after - before < best.width) best = { offset: shared - (before + after) / 2, width: after - before }
  }
  return best.offset
}

let offset: number | undefined

export const sharedOffset = (): number => (offset ??= measure())
/** Ms, the same in all threads of the process. */
export const sharedNow = (): number => performance.now() + sharedOffset()
