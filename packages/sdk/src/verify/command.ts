/** `ponos verify`. */
import { existsSync } from "node:fs"
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { openEngine } from "../engine/open.ts"
import { parseLocation } from "../engine/sqlite/location.ts"
import { BadOption } from "../errors.ts"
import { checkPoolName } from "../key.ts"
import { checkAudit, verdictText } from "./audit-check.ts"
import { loadAudit, readPoolAudit, saveAudit } from "./pool-audit.ts"
import type { PoolAudit } from "./pool-audit.ts"

const text = (name: string, why: string) => Flag.String(name).pipe(Flag.optional, Flag.withDescription(why))

const options = {
  store: text("store", "redis://…, rediss://… or file:…; default: the environment's PONOS_STORE"),
  pool: text("pool", "name of the pool"),
  from: text("from", "check a saved file instead of a store"),
  save: text("save", "also write what was read to this file"),
  json: Flag.Boolean("json").pipe(Flag.withDefault(false), Flag.withDescription("print the verdict as one line of JSON")),
}

/** Workers make a file that is not there; a command that only reads would leave an empty one behind a misspelt name. */
const refuseNewFile = (store: string): void => {
  if (!store.startsWith("file:")) return
  const location = parseLocation(store)
  if (location.type === "file" && !existsSync(location.path))
    throw new BadOption(
      `expected a store at ${store}, got: no file ${location.path}. Check the path; a worker makes the file when it first joins`,
    )
}

const read = async (store: string | undefined, pool: string | undefined, from: string | undefined): Promise<PoolAudit> => {
  if (from !== undefined) {
    if (store !== undefined || pool !== undefined)
      throw new BadOption("expected --from without --store and --pool: a saved file names both. Leave them out, or leave out --from")
    return await loadAudit(from)
  }
  if (pool === undefined) throw new BadOption("expected --pool <name>, or --from <file>, got neither")
  checkPoolName(pool)
  refuseNewFile(store ?? process.env["PONOS_STORE"] ?? "")
  const engine = await openEngine(store)
  try {
    return await readPoolAudit(engine, pool)
  } finally {
    await engine.close()
  }
}

const run = Effect.fnUntraced(function* ({ json, ...flags }: Command.Command.Config.Infer<typeof options>) {
  const [store, pool, from, save] = [flags.store, flags.pool, flags.from, flags.save].map(Option.getOrUndefined)
  const verdict = yield* Effect.tryPromise({
    try: async () => {
      const audit = await read(store, pool, from)
      if (save !== undefined) await saveAudit(save, audit)
      return checkAudit(audit)
    },
    catch: (error) => error,
  }).pipe(
    Effect.catch((error) => Console.error(`ponos: ${error instanceof Error ? error.message : String(error)}`).pipe(Effect.as(undefined))),
  )
  if (verdict !== undefined) yield* Console.log(json ? JSON.stringify(verdict) : verdictText(verdict))
  yield* Effect.sync(() => {
    process.exitCode = verdict?.ok === true ? 0 : 1
  })
})

export const verify = Command.make("verify", options, run).pipe(
  Command.withDescription(
    "Reads the audit of a pool (claims, releases, refused writes) and proves that no two epochs of a shard wrote in the same interval. Exit code 1: not proved.",
  ),
)
