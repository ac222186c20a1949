/** `ponos verify` on a pool at work, and on a file that was saved and then changed. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, expect, test } from "vitest"
import { Pool } from "../../src/pool/index.ts"
import { fast, until } from "../pool/support.ts"

const folder = await mkdtemp(join(tmpdir(), "ponos-verify-"))
afterAll(() => rm(folder, { recursive: true, force: true }))
const bin = fileURLToPath(new URL("../../src/bin.ts", import.meta.url))

const ponos = async (...args: ReadonlyArray<string>): Promise<{ code: number; out: string; err: string }> => {
  const child = spawn(process.execPath, ["--conditions=source", bin, "verify", ...args], { stdio: ["ignore", "pipe", "pipe"] })
  let [out, err] = ["", ""]
  child.stdout.on("data", (chunk) => (out += String(chunk)))
  child.stderr.on("data", (chunk) => (err += String(chunk)))
  const [code] = (await once(child, "close")) as [number]
  return { code, out, err }
}

test("a pool at work is proved, saved, checked again, and a changed file fails", async () => {
  const store = `file:${join(folder, "ponos.db")}`
  const pool = await Pool.join("p", { store, shards: 8, ...fast })
  const first = await pool.addWorker()
  const claimed = async (): Promise<number> =>
    (JSON.parse((await ponos("--store", store, "--pool", "p", "--json")).out) as { claims: number }).claims
  await until(async () => (await claimed()) === 8, "the worker holds all")
  const second = await pool.addWorker()
  await first.stop()
  await until(async () => (await claimed()) >= 16, "the other holds all")
  const saved = join(folder, "audit.jsonl")
  const live = await ponos("--store", store, "--pool", "p", "--save", saved)
  expect(live).toMatchObject({ code: 0, err: "" })
  expect(live.out).toMatch(/^pool p on file:.*: 8 shards\n {2}\d+ claims \(0 rescues\), 8 releases .*\n✓ ok: no two epochs/)
  expect(await ponos("--from", saved)).toEqual(live)
  await second.stop()
  await pool.close()

  // As if an owner had claimed without a word.
  const text = await readFile(saved, "utf8")
  await writeFile(saved, text.replace(/"header":\{"session":"[^"]*","epoch":\d+\}/, '"header":{"session":"x","epoch":1}'))
  const broken = await ponos("--from", saved)
  expect(broken.code).toBe(1)
  expect(broken.out).toMatch(/✗ V7 shard 0: the header names x with epoch 1, but the last entry left/)
}, 60_000)

test("says what is missing", async () => {
  const store = `file:${join(folder, "empty.db")}`
  expect(await ponos("--store", store)).toMatchObject({
    code: 1,
    err: expect.stringContaining("expected --pool <name>, or --from <file>") as string,
  })
  expect(await ponos("--store", "memory:", "--pool", "p")).toMatchObject({
    code: 1,
    err: expect.stringContaining('expected a pool "p"') as string,
  })
  expect(await ponos("--store", store, "--pool", "p")).toMatchObject({ code: 1, err: expect.stringContaining("got: no file") as string })
  expect(await readdir(folder)).not.toContain("empty.db")
  expect(await ponos("--from", "x", "--pool", "p")).toMatchObject({ code: 1, err: expect.stringContaining("--from without") as string })
})
