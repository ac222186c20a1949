/** A ticker over processes: no slot twice, and it outlives the one that ticked last. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import { Process } from "./processes.ts"
import { fast } from "./settings.ts"
import { until } from "./support.ts"

const everyMs = 100

const suite = (store: () => string): void => {
  test("ticks each slot on one process, also after the one that ticked was killed", async () => {
    const name = uniqueName("ticker")
    const crew = Array.from({ length: 3 }, () => new Process(store(), name, fast, { PONOS_TEST_TICKER: `sweep ${everyMs}` }))
    const ticks = (some: ReadonlyArray<Process>) =>
      some.flatMap((one) =>
        one.lines.filter(({ what }) => what === "tick").map((line) => ({ one, at: Number(line.key), event: line.event })),
      )
    await until(() => ticks(crew).length >= 10, "they tick", 60_000)
    const last = ticks(crew).sort((a, b) => b.at - a.at)[0]
    await last?.one.end("SIGKILL")
    const rest = crew.filter((one) => one !== last?.one)
    const before = ticks(rest).length
    await until(() => ticks(rest).length >= before + 5, "the others go on", 60_000)
    await Promise.all(rest.map((one) => one.end("SIGKILL")))
    const slots = ticks(crew)
      .map(({ at }) => at)
      .sort((a, b) => a - b)
    expect(new Set(slots).size).toBe(slots.length)
    // None was left out without being counted; only what was taken and not told before a kill is missing.
    const missed = ticks(crew).reduce((sum, { event }) => sum + (event as { readonly missed: number }).missed, 0)
    const all = ((slots.at(-1) ?? 0) - (slots[0] ?? 0)) / everyMs + 1
    expect(all - slots.length - missed).toBeGreaterThanOrEqual(0)
    expect(all - slots.length - missed).toBeLessThanOrEqual(crew.length)
  })
}

const folder = await mkdtemp(join(tmpdir(), "ponos-ticker-"))
afterAll(() => rm(folder, { recursive: true, force: true }))

describe("a ticker of processes on one file", () => suite(() => `file:${join(folder, "pool.db")}`))
describeRedis("a ticker of processes on Redis", () => suite(redisUrl))
