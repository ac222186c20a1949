/** S4: a keeper in its thread renews only for a main loop that lives, by what that shows in their common memory. */
import { expect, test } from "vitest"
import type { RenewReply } from "../../src/engine/engine.ts"
import { sharedNow, sharedOffset } from "../../src/pool/clock.ts"
import { Keeper } from "../../src/pool/keeper.ts"
import { LeaseMemory } from "../../src/pool/lease-memory.ts"
import { readPoolOptions } from "../../src/pool/options.ts"
import { leaseEvents } from "./lease-events.ts"
import { until } from "./support.ts"

const stage = () => {
  const sentAt = sharedNow()
  const memory = LeaseMemory.make(true, sentAt)
  const { told, events } = leaseEvents()
  const counts = { renewals: 0 }
  const reply = (): RenewReply => ({
    alive: true,
    counters: new Map(),
    memberVersion: 1,
    assignmentVersion: 1,
    incarnation: "",
    now: 0,
  })
  const keeper = new Keeper({
    engine: {
      renew: async (_, session) => {
        if (session !== undefined) counts.renewals++
        return reply()
      },
      probe: async () => [],
      markDead: async () => "refused",
    },
    pool: "pool",
    session: "s",
    options: readPoolOptions({ leaseMs: 500, renewMs: 100, watchMs: 5_000 }),
    sentAt,
    clock: sharedNow,
    memory,
    inLoop: false,
    events,
  })
  return { keeper, memory, told, counts }
}

test.each([
  ["the main loop beats", "data" as const],
  ["the data path answers", "beat" as const],
])("renews only while %s, and goes on when it does again", async (_, shown) => {
  const { keeper, memory, told, counts } = stage()
  const show = (what: "beat" | "data"): void => (what === "beat" ? memory.beat(sharedNow()) : memory.answered(sharedNow()))
  let both = true
  const life = setInterval(() => {
    show(shown)
    if (both) show(shown === "beat" ? "data" : "beat")
  }, 10)
  try {
    keeper.start()
    await until(() => counts.renewals >= 3, "it renews")
    both = false
    await until(() => told.some((text) => text.startsWith("depose")), "trust ends")
    expect(told.map((text) => text.split(" ")[0])).toEqual(["abort", "depose"])
    expect([memory.phase, memory.trusted(sharedNow()), memory.depositions]).toEqual(["deposed", false, 1])
    const before = counts.renewals
    both = true
    await until(() => told.includes("resume"), "it goes on")
    expect(counts.renewals).toBeGreaterThan(before)
    expect(memory.trusted(sharedNow())).toBe(true)
  } finally {
    keeper.stop()
    clearInterval(life)
  }
})

test("the clock that threads share is this thread's, read from another moment", () => {
  for (let n = 0; n < 100; n++) {
    const before = Number(process.hrtime.bigint()) / 1e6
    const at = sharedNow()
    const after = Number(process.hrtime.bigint()) / 1e6
    expect(at).toBeGreaterThan(before - 0.1)
    expect(at).toBeLessThan(after + 0.1)
  }
  expect(sharedOffset()).toBe(sharedOffset())
})
