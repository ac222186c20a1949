import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { expect, onTestFinished, test } from "vitest"

test("the test environment works under node:test, and leaves nothing that keeps its process alive", async () => {
  const file = join(import.meta.dirname, "node-test", "daily.ts")
  // without what vitest tells its own children
  const { NODE_OPTIONS: _, VITEST: __, ...env } = process.env
  const child = spawn(process.execPath, ["--conditions=source", "--test-reporter=tap", file], { stdio: ["ignore", "pipe", "pipe"], env })
  let said = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (said += data.toString()))
  onTestFinished(() => void child.kill("SIGKILL"))
  const [code] = (await once(child, "exit")) as [number | null]
  expect(said).toMatch(/^# pass 2$/m)
  expect(said).toMatch(/^# fail 0$/m)
  expect(code).toBe(0)
}, 60_000)
