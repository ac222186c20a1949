/**
 * The demonstration: real processes, and a proof at the end. README.md says what is shown and how each figure is defined.
 * Exit code 0: the verdict is ok. 1: something was lost, doubled or overlapped, or the demo failed. 2: wrong arguments.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { randomBytes } from "node:crypto"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { PonosError } from "@ponos/sdk"
import { readArgs, shownStore, usage, UsageError, type DemoOptions } from "./args.ts"
import { Crew } from "./crew.ts"
import { removePool } from "./leftovers.ts"
import { Live } from "./live.ts"
import { createClient } from "./ponos.gen/client.ts"
import { openRecord, parseRecords, type DeliveryRecord, type ScriptRecord, type WorkerRecord } from "./records.ts"
import { openScreen, type Screen } from "./screen.ts"
import { play } from "./script.ts"
import { Stage, shardCount } from "./stage.ts"
import { openTenantsDb } from "./tenants-db.ts"
import type { TenantsDb } from "./tenants.ts"
import type { UpstreamOptions } from "./upstream.ts"
import { judge, verdictLine, verdictText, type History } from "./verdict.ts"

const redrawMs = 250
/** How long keys are removed from a Redis, and a schema from a Postgres, after a signal. */
const forgetLimitMs = 2_000
/** Events a second over all tenants, about; one tenant emits at most 5 a second. */
const eventsPerSecond = 400

const main = async (options: DemoOptions): Promise<number> => {
  const out = options.json ? process.stderr : process.stdout
  const screen = openScreen(out)
  const directory = mkdtempSync(join(tmpdir(), "ponos-demo-"))
  const records = join(directory, "records")
  mkdirSync(records)
  const store = options.store ?? `file:${join(directory, "ponos.db")}`
  const script = openRecord<ScriptRecord>(join(records, "script.ndjson"))
  const tenantsAddress = options.tenantsDb ?? join(directory, "tenants.db")
  const crew = new Crew(directory, { PONOS_STORE: store, PONOS_TENANTS_DB: tenantsAddress }, (worker, { code, signal }) =>
    script.write({ type: "exited", worker, code, signal }),
  )
  let keep = false
  const cleanUp = () => {
    crew.kill()
    if (!keep) rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
  // Also after an exception that nobody caught.
  process.on("exit", cleanUp)
  const pool = `tenants-${randomBytes(4).toString("hex")}`
  const tenantsDb = openTenantsDb(tenantsAddress, pool)
  const forget = () => Promise.all([forgetPool(store, pool), forgetTenants(tenantsDb)])
  onEndFromOutside((code) => {
    crew.kill()
    setTimeout(() => process.exit(code), forgetLimitMs)
    void forget().then(() => process.exit(code))
  })

  try {
    await rehearse(options, { screen, directory, records, store, pool, tenantsDb, script, crew })
  } catch (error) {
    crew.kill()
    await forget()
    throw error
  }
  script.close()
  const verdict = judge(readHistory(records))
  keep = !verdict.ok
  await (verdict.ok ? forget() : forgetTenants(tenantsDb))
  screen.clear()
  out.write(
    `${verdictText(verdict, shownStore(store))}${keep ? `\nThe records are kept in ${records}, and pool ${pool} in the store.\n` : ""}`,
  )
  if (options.json) process.stdout.write(`${verdictLine(verdict, shownStore(store))}\n`)
  return verdict.ok ? 0 : 1
}

/** A signal, or nobody who reads what is printed (`| head`). */
const onEndFromOutside = (end: (code: number) => void): void => {
  const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
  for (const [signal, code] of Object.entries(codes)) process.once(signal, () => end(code))
  for (const stream of [process.stdout, process.stderr]) stream.once("error", () => end(1)).on("error", () => {})
}

/** The pool's keys, where a Redis is the store: the user's data is beside them. A file of our own goes with its directory. */
const forgetPool = async (store: string, pool: string): Promise<void> => {
  if (/^rediss?:/.test(store)) await removePool(store, pool).catch(() => {})
}

/** Their schema, where they are in a Postgres. */
const forgetTenants = async (tenantsDb: TenantsDb): Promise<void> => {
  await tenantsDb.drop().catch((error: unknown) => {
    console.error(`The tenants stay in ${tenantsDb.shown}: ${error instanceof Error ? error.message : String(error)}`)
  })
}

interface Scene {
  readonly screen: Screen
  readonly directory: string
  readonly records: string
  readonly store: string
  readonly pool: string
  readonly tenantsDb: TenantsDb
  readonly script: ReturnType<typeof openRecord<ScriptRecord>>
  readonly crew: Crew
}

/** Starts all, plays the script while the table is shown, and ends all. */
const rehearse = async (options: DemoOptions, scene: Scene): Promise<void> => {
  const { screen, directory, records, store, pool, tenantsDb, script, crew } = scene
  const emission = { meanMs: Math.max(200, (1_000 * options.tenants) / eventsPerSecond) }
  const upstreamOptions: UpstreamOptions = { emission, log: join(records, "deliveries.ndjson"), leftovers: directory }
  const upstream = await crew.start<{ url: string }>("upstream", "upstream.ts", upstreamOptions)
  const tenants = await tenantsDb.create()
  const client = createClient({ pool, shards: shardCount, store })
  const live = new Live()
  const stage = new Stage({
    crew,
    live,
    screen,
    script,
    tenants,
    tenantsDb,
    client,
    pool,
    emission,
    directory: records,
    upstream: upstream.ready.url,
    tenantCount: options.tenants,
    seconds: options.seconds,
    pollSeconds: Math.max(0.25, options.tenants / 400),
  })
  stage.say(`store ${shownStore(store)}, pool ${pool}, tenants in ${tenantsDb.shown}, upstream ${upstream.ready.url}`)
  const over = new AbortController()
  const shown = redraw(stage, screen, over.signal)
  try {
    await play(stage)
  } finally {
    over.abort()
    await shown
    live.close()
    await tenants.close()
    await client.close()
  }
  const workers = readdirSync(records).flatMap((file) => (/^w\d+\.ndjson$/.test(file) ? [file.replace(".ndjson", "")] : []))
  for (const names of [workers, ["controller"], ["upstream"]]) {
    const stuck = await crew.end(names)
    if (stuck.length > 0) stage.say(`  did not end when asked, and were killed: ${stuck.join(", ")}`)
  }
}

const redraw = async (stage: Stage, screen: Screen, over: AbortSignal): Promise<void> => {
  while (!over.aborted) {
    screen.show(await stage.view())
    await delay(redrawMs, undefined, { signal: over }).catch(() => {})
  }
}

const readHistory = (records: string): History => {
  const read = <R>(name: string) => parseRecords<R>(readFileSync(join(records, name), "utf8"))
  const workers = readdirSync(records).filter((file) => /^w\d+\.ndjson$/.test(file))
  return {
    deliveries: read<DeliveryRecord>("deliveries.ndjson"),
    script: read<ScriptRecord>("script.ndjson"),
    workers: Object.fromEntries(workers.map((file) => [file.replace(".ndjson", ""), read<WorkerRecord>(file)])),
  }
}

try {
  const options = readArgs(process.argv.slice(2), process.env)
  if (options.help) console.log(usage)
  else process.exitCode = await main(options)
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message}\n${usage}`)
  // Errors of Ponos say what to do; of all others the place is of interest.
  else if (error instanceof PonosError) console.error(error.message)
  else console.error(error instanceof Error ? (error.stack ?? error.message) : error)
  process.exit(error instanceof UsageError ? 2 : 1)
}
