import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { describe, expect, test } from "vitest"
import { describeRedis, redisUrl } from "../../../tools/with-redis.ts"

const main = join(import.meta.dirname, "..", "src", "main.ts")
const run = async (store: string): Promise<string> => {
  const env = { ...process.env, PONOS_STORE: store, NODE_OPTIONS: "" }
  return (await promisify(execFile)(process.execPath, ["--conditions=source", main], { env })).stdout
}

const check = (output: string): void => {
  expect(output).toMatch(/key-29 {2}fibonacci\(87\) = 679891637638612258$/m)
  expect(output).toMatch(/^w1: [1-9]\d* keys, w2: [1-9]\d* keys, w3: [1-9]\d* keys$/m)
  expect(output.trimEnd().endsWith("all right")).toBe(true)
}

describe("the fibonacci example", () => {
  test("spreads its keys over three processes on one file", async () => {
    check(await run(""))
  })
})

describeRedis("the fibonacci example on Redis", () => {
  test("spreads its keys over three processes", async () => {
    check(await run(redisUrl()))
  })
})
