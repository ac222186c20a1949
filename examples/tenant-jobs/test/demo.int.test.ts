import { execFile, spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { promisify } from "node:util"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { Client } from "pg"
import { usePostgres } from "../../../tools/with-postgres.ts"
import { describeRedis, redisUrl } from "../../../tools/with-redis.ts"

const postgres = await usePostgres()
const demo = join(import.meta.dirname, "../src/demo.ts")

/** Temporary directory of the demo under test: its name is in the arguments of every process that the demo starts. */
let directory: string
let running: ChildProcess[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "ponos-demo-test-"))
  running = []
})

afterEach(async () => {
  for (const child of running) child.kill("SIGKILL")
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
})

const start = (args: ReadonlyArray<string>, store?: string, tenantsDb?: string) => {
  const { PONOS_STORE: _, PONOS_TENANTS_DB: __, ...environment } = process.env
  const child = spawn(process.execPath, ["--conditions=source", demo, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...environment,
      TMPDIR: directory,
      ...(store === undefined ? {} : { PONOS_STORE: store }),
      ...(tenantsDb === undefined ? {} : { PONOS_TENANTS_DB: tenantsDb }),
    },
  })
  running.push(child)
  let [out, error] = ["", ""]
  child.stdout.on("data", (data) => (out += String(data)))
  child.stderr.on("data", (data) => (error += String(data)))
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, out, error }))
  return { child, ended, output: () => out + error }
}

/** Processes with the temporary directory among their arguments. */
const processes = async (): Promise<string[]> => {
  const { stdout } = await promisify(execFile)("ps", ["-eo", "pid=,args="], { maxBuffer: 1 << 26 })
  return stdout.split("\n").filter((line) => line.includes(directory))
}

const eventually = async (what: string, check: () => boolean | Promise<boolean>): Promise<void> => {
  const deadline = performance.now() + 20_000
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`${what} did not happen within 20 s`)
    await delay(50)
  }
}

const provesItself =
  (store: () => string | undefined, tenantsDb: () => string | undefined = () => undefined) =>
  async () => {
    const { code, out, error } = await start(["--tenants", "12", "--seconds", "12", "--json"], store(), tenantsDb()).ended
    expect(code, error).toBe(0)
    const lines = out.trimEnd().split("\n")
    expect(lines).toHaveLength(1)
    const verdict = JSON.parse(lines[0] ?? "") as Record<string, unknown>
    expect(Object.keys(verdict).join()).toBe(
      "ok,store,tenants,events,lost,duplicated,redelivered,staleRefused,overlaps,takeoverMs,handoffMs,shardsMoved,shardsMovedIdeal",
    )
    expect(verdict).toMatchObject({ ok: true, tenants: 12, lost: 0, duplicated: 0, overlaps: 0 })
    expect(error).toMatch(/stops are held back: expected at most 20 % of 12 running jobs to stop .*, got 3/)
    expect(error).toContain("approved")
    for (const name of ["events", "takeoverMs", "handoffMs", "shardsMoved", "shardsMovedIdeal"]) expect(verdict[name]).toBeGreaterThan(0)
    expect(verdict["shardsMoved"]).toBeLessThanOrEqual(1.1 * Number(verdict["shardsMovedIdeal"]))
    expect(await processes()).toEqual([])
    expect(await readdir(directory)).toEqual([])
    return error
  }

describe("the demo on the embedded store", () => {
  test(
    "proves that nothing is lost, doubled or overlapped",
    provesItself(() => undefined),
  )

  for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const)
    test(`leaves no process and no file behind when it is ended by ${signal}`, async () => {
      const { child, ended, output } = start(["--tenants", "8", "--seconds", "60"])
      await eventually("the first settled state", () => output().includes("settled"))
      expect((await processes()).length).toBeGreaterThanOrEqual(5)
      child.kill(signal)
      await ended
      await eventually("the end of all its processes", async () => (await processes()).length === 0)
      await eventually("the removal of its files", async () => (await readdir(directory)).length === 0)
    })

  test("fails, and says why, when a process ends that should not", async () => {
    const { ended, output } = start(["--tenants", "8", "--seconds", "60"])
    await eventually("the first settled state", () => output().includes("settled"))
    const upstream = (await processes()).find((line) => line.includes("upstream.ts"))
    process.kill(Number.parseInt(upstream ?? "", 10), "SIGKILL")
    const { code, error } = await ended
    expect(code).toBe(1)
    expect(error).toContain("upstream ended (SIGKILL)")
    expect(await processes()).toEqual([])
    expect(await readdir(directory)).toEqual([])
  })

  test("refuses wrong arguments with what is expected", async () => {
    expect(await start(["--tenant", "3"]).ended).toMatchObject({
      code: 2,
      out: "",
      error: expect.stringContaining("did you mean --tenants?"),
    })
    expect(await start([], "memory:x").ended).toMatchObject({ code: 2, error: expect.stringContaining("expected PONOS_STORE") })
    expect(await readdir(directory)).toEqual([])
  })
})

test("the demo says what is wrong with a store that cannot be reached, and leaves nothing behind", async () => {
  const { code, error } = await start(["--json"], "redis://user:secret@127.0.0.1:1").ended
  expect(code).toBe(1)
  expect(error).toMatch(/StoreUnavailable .* could not be reached/)
  expect(error).not.toContain("secret")
  expect(await processes()).toEqual([])
  expect(await readdir(directory)).toEqual([])
})

describeRedis("the demo on Redis", () => {
  test("proves that nothing is lost, doubled or overlapped", provesItself(redisUrl))
})

postgres.describe("the demo with its tenants in Postgres", () => {
  /** Whether the schema exists that the demo says it uses: others may be on the same server. */
  const schemaExists = async (said: string): Promise<boolean> => {
    const [, schema] = /schema (ponos_tenants_[0-9a-f]+),/.exec(said) ?? []
    expect(schema, said).toBeDefined()
    const client = new Client({ connectionString: postgres.url() })
    await client.connect()
    const { rowCount } = await client.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", [schema])
    await client.end()
    return rowCount === 1
  }

  test("proves that nothing is lost, doubled or overlapped", async () => {
    const said = await provesItself(() => undefined, postgres.url)()
    expect(await schemaExists(said)).toBe(false)
  })

  test("drops its schema when it is ended by SIGINT, and shows no password", async () => {
    const { child, ended, output } = start(["--tenants", "8", "--seconds", "60"], undefined, postgres.url())
    await eventually("the first settled state", () => output().includes("settled"))
    expect(await schemaExists(output())).toBe(true)
    const { password } = new URL(postgres.url())
    if (password !== "") expect(output() + (await processes()).join("\n")).not.toContain(password)
    child.kill("SIGINT")
    expect((await ended).code).toBe(130)
    expect(await schemaExists(output())).toBe(false)
    await eventually("the end of all its processes", async () => (await processes()).length === 0)
  })

  test("drops its schema when it fails", async () => {
    const { ended, output } = start(["--tenants", "8", "--seconds", "60"], undefined, postgres.url())
    await eventually("the first settled state", () => output().includes("settled"))
    const upstream = (await processes()).find((line) => line.includes("upstream.ts"))
    process.kill(Number.parseInt(upstream ?? "", 10), "SIGKILL")
    expect((await ended).code).toBe(1)
    expect(await schemaExists(output())).toBe(false)
  })
})

test("the demo says what is wrong with a Postgres that cannot be reached, and leaves nothing behind", async () => {
  const { code, error } = await start(["--json"], undefined, "postgres://user:secret@127.0.0.1:1/app").ended
  expect(code).toBe(1)
  expect(error).toMatch(/StoreUnavailable .* expected postgres:\/\/127.0.0.1:1\/app to take a connection/)
  expect(error).not.toContain("secret")
  expect(await processes()).toEqual([])
  expect(await readdir(directory)).toEqual([])
})
