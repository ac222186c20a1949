/** Runs `work` for each item, at most `limit` at a time, in order of start. The first failure ends the rest. */
export const eachBounded = async <A>(items: ReadonlyArray<A>, limit: number, work: (item: A) => Promise<void>): Promise<void> => {
  const queue = items.values()
  let failed = false
  const lane = async (): Promise<void> => {
    for (const item of queue) {
      if (failed) return
      try {
        await work(item)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane))
}
