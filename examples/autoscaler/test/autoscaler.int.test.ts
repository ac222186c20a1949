/** Load → more workers, the delay falls; idle → back to the least; nothing is lost. Real processes, on a file and on Redis. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../tools/with-redis.ts"
import { decide } from "../src/autoscaler.ts"
import { run } from "../src/run.ts"

const folder = await mkdtemp(join(tmpdir(), "ponos-autoscaler-"))
afterAll(() => rm(folder, { recursive: true, force: true }))

const pictures = 1_000

const followsTheLoad = async (store: string): Promise<void> => {
  const lines: Array<string> = []
  const { looks, done, clean } = await run({
    pool: uniqueName("autoscaler"),
    store,
    pictures,
    minWorkers: 1,
    maxWorkers: 3,
    onLine: (line) => lines.push(line),
  })
  const story = lines.join("\n")
  expect(done, story).toBe(pictures)
  expect(clean, story).toBe(true)
  const most = Math.max(...looks.map(({ workers }) => workers))
  expect(most, story).toBeGreaterThan(1)
  expect(most, story).toBeLessThanOrEqual(3)
  const firstHelp = looks.findIndex(({ workers }) => workers > 1)
  const waited = looks.slice(0, firstHelp).some(({ delayMs }) => delayMs > 500)
  expect(waited, `a delay came first\n${story}`).toBe(true)
  expect(looks.slice(firstHelp).some(({ delayMs, ready, workers }) => workers > 1 && ready === 0 && delayMs === 0)).toBe(true)
  expect(looks.at(-1), story).toMatchObject({ workers: 1, processes: 1, ready: 0, delayMs: 0 })
}

test("workers follow the load on a file", () => followsTheLoad(`file:${join(folder, "ponos.db")}`))

describeRedis("on Redis", () => {
  test("workers follow the load", () => followsTheLoad(redisUrl()))
})

test("processes that start are not taken for too many", () => {
  expect(decide(2, 1, 1)).toBe(2)
  expect(decide(2, 1, 4), "three of them start").toBe(4)
  expect(decide(2, 4, 4)).toBe(2)
  expect(decide(6, 1, 4)).toBe(6)
})
