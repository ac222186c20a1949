/**
 * A Postgres for the test files that need one, from the first of:
 *
 * 1. `PONOS_TEST_POSTGRES=postgres://…`: that server. `PONOS_TEST_POSTGRES=skip`: none.
 * 2. a container, where a Docker engine answers
 * 3. `postgres` on the PATH or where Debian puts it, on a free port with a directory of its own
 *
 * Without any, the tests are skipped: SQLite is what the rest of the suite keeps its tenants in.
 */
import { execFile, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { access, chown, constants, mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises"
import { createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Client } from "pg"

export type TestPostgres =
  | { readonly url: string; readonly from: string; readonly stop: () => Promise<void> }
  | { readonly url: undefined; readonly why: string }

const image = "postgres:17-alpine"
const guard = fileURLToPath(new URL("lib/postgres-guard.mjs", import.meta.url))
const debianFolder = "/usr/lib/postgresql"
const startTimeoutMs = 20_000
const connectTimeoutMs = 2_000

export async function startPostgres(): Promise<TestPostgres> {
  const asked = process.env["PONOS_TEST_POSTGRES"]
  if (asked === "skip") return { url: undefined, why: "PONOS_TEST_POSTGRES=skip" }
  if (asked) return await named(asked)
  return (await startContainer()) ?? (await startBinary())
}

async function named(url: string): Promise<TestPostgres> {
  if (!/^postgres(ql)?:\/\//.test(url))
    throw new Error(`expected PONOS_TEST_POSTGRES to be an address as in postgres://user:password@host:5432/database, or "skip"`)
  const problem = await trouble(url)
  if (problem !== undefined)
    throw new Error(`PONOS_TEST_POSTGRES names a Postgres that takes no connection (${problem}): start it, or unset PONOS_TEST_POSTGRES`)
  return { url, from: "PONOS_TEST_POSTGRES", stop: async () => {} }
}

async function startContainer(): Promise<TestPostgres | undefined> {
  const { GenericContainer, getContainerRuntimeClient, Wait } = await import("testcontainers")
  const engine = await getContainerRuntimeClient().catch(() => undefined)
  if (!engine) return undefined
  const password = randomBytes(12).toString("hex")
  try {
    const container = await new GenericContainer(image)
      .withEnvironment({ POSTGRES_PASSWORD: password })
      .withExposedPorts(5432)
      // it starts twice: the first time, without a port, to make the database
      .withWaitStrategy(Wait.forLogMessage(/database system is ready to accept connections/, 2))
      .start()
    return {
      url: `postgres://postgres:${password}@${container.getHost()}:${container.getMappedPort(5432)}/postgres`,
      from: `container ${image}`,
      stop: async () => {
        await container.stop()
      },
    }
  } catch (error) {
    console.error(`• Docker answers but ${image} did not start (${messageOf(error)}); trying a postgres of this machine`)
    return undefined
  }
}

async function startBinary(): Promise<TestPostgres> {
  const bin = await findBinaries()
  if (bin === undefined) return { url: undefined, why: "no Docker, no postgres on this machine; see tools/test-postgres.ts" }
  const user = await unprivileged()
  if (user === undefined) return { url: undefined, why: "postgres refuses to run as root, and there is no user postgres" }
  const port = await freePort()
  const password = randomBytes(12).toString("hex")
  const directory = await mkdtemp(join(tmpdir(), "ponos-test-postgres-"))
  await writeFile(join(directory, "password"), password, { mode: 0o600 })
  const [uid, gid] = user
  if (uid !== undefined && gid !== undefined) for (const path of [directory, join(directory, "password")]) await chown(path, uid, gid)
  // The guard outlives Ctrl-C and a killed vitest, and then ends the server: in a process group of its own, it sees only its stdin close.
  const args = [guard, directory, bin, `${port}`, ...user.map(String)]
  const server = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"], detached: true })
  let log = ""
  server.stdout.on("data", (data) => (log = (log + String(data)).slice(-4_000)))
  server.stdin.on("error", () => {})
  const exited = once(server, "exit")
  const stop = async () => {
    server.stdin.end()
    await exited
    await rm(directory, { recursive: true, force: true })
  }
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  const deadline = performance.now() + startTimeoutMs
  while ((await trouble(url)) !== undefined) {
    if (server.exitCode !== null || performance.now() > deadline) {
      await stop()
      console.error(`• postgres did not start on port ${port}:\n${log}`)
      return { url: undefined, why: `${join(bin, "postgres")} did not start: ${log.trim().split("\n").at(-1) ?? ""}` }
    }
    await delay(50)
  }
  return { url, from: join(bin, "postgres"), stop }
}

/** The folder with `postgres` and `initdb`: the one on the PATH may be a link without the other beside it. */
async function findBinaries(): Promise<string | undefined> {
  const onPath = (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, "postgres"))
  const versions = (await readdir(debianFolder).catch(() => [])).toSorted((a, b) => Number(b) - Number(a))
  for (const file of [...onPath, ...versions.map((version) => join(debianFolder, version, "bin", "postgres"))]) {
    const bin = dirname(await realpath(file).catch(() => file))
    if ((await isExecutable(join(bin, "postgres"))) && (await isExecutable(join(bin, "initdb")))) return bin
  }
  return undefined
}

async function isExecutable(file: string): Promise<boolean> {
  return await access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** Nothing to change, or, for root, the ids of the user that Debian's package makes. */
async function unprivileged(): Promise<[] | [uid: number, gid: number] | undefined> {
  if (process.getuid?.() !== 0) return []
  const id = async (flag: string) => Number((await promisify(execFile)("id", [flag, "postgres"])).stdout)
  return await Promise.all([id("-u"), id("-g")]).catch(() => undefined)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}

/** What keeps this address from being used; undefined: nothing. */
async function trouble(url: string): Promise<string | undefined> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: connectTimeoutMs })
  client.on("error", () => {})
  try {
    await client.connect()
    return undefined
  } catch (error) {
    return messageOf(error)
  } finally {
    await client.end()
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message || error.name : String(error))
