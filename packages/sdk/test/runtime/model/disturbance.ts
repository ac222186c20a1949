/** One of the things that can go wrong in a case, drawn by a number. */
import type { Calls, Fault, Hints, TestFaults } from "../../../src/testing/index.ts"

const kinds = ["before", "after", "frozen", "repeat"] as const
const hints: ReadonlyArray<Hints> = ["lost", "doubled", "late"]

const faultOf = (kind: number, at: number, { writes, takes, claims }: Calls): Fault | undefined => {
  const write = kinds[kind]
  if (write !== undefined) return { verb: "write", at: at % Math.max(writes, 1), kind: write }
  if (kind === 4) return { verb: "take", at: at % Math.max(takes, 1), kind: "lost" }
  return kind === 5 ? { verb: "claim", at: at % Math.max(claims, 1), kind: "lost" } : undefined
}

/** The draw's digits choose the fault, where it strikes, and what happens besides. */
export const disturbanceOf = (calls: Calls, draw: number): TestFaults => {
  const fault = faultOf(draw % 7, Math.floor(draw / 7 / 12), calls)
  const besides = Math.floor(draw / 7) % 12
  const hint = hints[besides]
  return {
    ...(fault === undefined ? {} : { fault }),
    ...(hint === undefined ? {} : { hints: hint }),
    ...(besides === 3 ? { repeatClient: true } : {}),
    // with and without a fault, at each rest or at some
    ...(besides >= 4 && besides <= 8 ? { parking: ((besides - 4) % 3) + 1 } : {}),
  }
}
