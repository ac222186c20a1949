/**
 * A Postgres for the test files that need one, from the first of:
 *
 * 1. `PONOS_TEST_POSTGRES=postgres://…`: that server. `PONOS_TEST_POSTGRES=skip`: none.
 * 2. a container, where a Docker engine answers
 * 3. `postgres` on the PATH or where Debian puts it, on a free port with a directory of its own
 *
 * Without any, the tests are skipped: SQLite is what the rest of the suite keeps its tenants in.
 */
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { access, chown, constants, mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Client } from "pg"
import { freePort, messageOf, startContainer as startOwnContainer, startGuarded, type OwnServer } from "./lib/own-server.ts"

export type TestPostgres = OwnServer | { readonly url: undefined; readonly why: string }

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
  const password = randomBytes(12).toString("hex")
  const started = await startOwnContainer(image, "a postgres of this machine", async () => {
    const { GenericContainer, Wait } = await import("testcontainers")
    return await new GenericContainer(image)
      .withEnvironment({ POSTGRES_PASSWORD: password })
      .withExposedPorts(5432)
      // it starts twice: the first time, without a port, to make the database
      .withWaitStrategy(Wait.forLogMessage(/database system is ready to accept connections/, 2))
      .start()
  })
  if (started === undefined) return undefined
  const { container, from, stop } = started
  return { url: `postgres://postgres:${password}@${container.getHost()}:${container.getMappedPort(5432)}/postgres`, from, stop }
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
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  const server = await startGuarded({
    guard,
    args: [directory, bin, `${port}`, ...user.map(String)],
    withinMs: startTimeoutMs,
    ready: async () => (await trouble(url)) === undefined,
  })
  const removed = async (): Promise<void> => await rm(directory, { recursive: true, force: true })
  if (server.log !== undefined) {
    await removed()
    console.error(`• postgres did not start on port ${port}:\n${server.log}`)
    return { url: undefined, why: `${join(bin, "postgres")} did not start: ${server.log.trim().split("\n").at(-1) ?? ""}` }
  }
  const stop = async (): Promise<void> => {
    await server.stop()
    await removed()
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
