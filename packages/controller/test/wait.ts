import { setTimeout as delay } from "node:timers/promises"

/** Waits for a condition of the world; the deadline is for what never comes true. */
export const until = async <A>(what: string, probe: () => A | Promise<A>, timeoutMs = 20_000): Promise<NonNullable<A>> => {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const found = await probe()
    if (found !== undefined && found !== null && found !== false) return found
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for: ${what}`)
    await delay(20)
  }
}
