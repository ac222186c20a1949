/**
 * `npm run chaos`: random schedules of the verbs under load, or with `--scenarios` every scenario once that the store can suffer,
 * with `--scenario` those whose name has the text. The last line is the verdict;
 * exit code 1: a promise was broken.
 */
import { parseArgs } from "node:util"
import { randomRun } from "./random.ts"
import { runScenario, scenarios } from "./scenarios.ts"
import { openStore, storeNames, type StoreName } from "./stores.ts"
import { verdictText } from "./verdict.ts"
import { World } from "./world.ts"

const usage = `npm run chaos -- [--minutes N] [--seed S] [--store ${storeNames.join("|")}] [--scenarios | --scenario TEXT]`
const minutesMax = 240

const number = (text: string, name: string, max: number): number => {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0 && value <= max) return value
  throw new Error(`expected --${name} to be a number up to ${max}, got: ${text}. ${usage}`)
}

const read = (): { readonly minutes: number; readonly seed: number; readonly name: StoreName; readonly only: string | undefined } => {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string" },
      seed: { type: "string" },
      store: { type: "string", default: "redis" },
      scenarios: { type: "boolean" },
      scenario: { type: "string" },
    },
  })
  const minutes = number(values.minutes ?? "1", "minutes", minutesMax)
  const seed = number(values.seed ?? String(1 + Math.floor(Math.random() * 1_000_000)), "seed", Number.MAX_SAFE_INTEGER)
  const name = storeNames.find((one) => one === values.store)
  if (name === undefined) throw new Error(`expected --store to be one of ${storeNames.join(", ")}, got: ${values.store}. ${usage}`)
  const only = values.scenario ?? (values.scenarios === true ? "" : undefined)
  if (only !== undefined && !scenarios.some((one) => one.name.includes(only)))
    throw new Error(
      `expected --scenario to be a part of a scenario's name, got: ${only}. They are: ${scenarios.map((one) => one.name).join("; ")}`,
    )
  return { minutes, seed, name, only }
}

const given = ((): ReturnType<typeof read> => {
  try {
    return read()
  } catch (error) {
    console.error(`chaos: ${(error as Error).message}`)
    process.exit(1)
  }
})()
const { minutes, seed, name, only } = given
const log = (text: string): void => console.log(text)

/** Each on a store of its own: some leave it with a server less. */
const runScenarios = async (text: string): Promise<boolean> => {
  let ok = true
  for (const scenario of scenarios.filter((one) => one.name.includes(text))) {
    const store = await openStore(name)
    closing.push(() => store.stop())
    if (scenario.applies(store)) {
      log(scenario.name)
      const verdict = await runScenario(store, scenario, log).catch((error: unknown) => {
        log(`✗ it stopped: ${(error as Error).message}`)
        return undefined
      })
      if (verdict !== undefined) log(verdictText(verdict))
      ok &&= verdict?.ok === true
    }
    await close()
  }
  log(ok ? `✓ ok: scenarios on ${name}` : `✗ NOT OK: scenarios on ${name}`)
  return ok
}

const runRandom = async (): Promise<boolean> => {
  log(`chaos on ${name}, seed ${seed}, ${minutes} minutes; again: npm run chaos -- --minutes ${minutes} --seed ${seed} --store ${name}`)
  const store = await openStore(name)
  closing.push(() => store.stop())
  const world = await World.open(store, { workers: 3, everyMs: 300, ways: (n) => n % 3 > 0, log })
  closing.push(() => world.close())
  let stopped: unknown
  const count = await randomRun(world, seed, minutes).catch((error: unknown) => {
    stopped = error
    return 0
  })
  const verdict = await world.verify()
  if (stopped !== undefined) log(`✗ the schedule stopped: ${stopped instanceof Error ? stopped.message : JSON.stringify(stopped)}`)
  log(`seed ${seed}, ${count} verbs: ${verdictText(verdict)}`)
  return verdict.ok && stopped === undefined
}

const closing: Array<() => Promise<void>> = []
const close = async (): Promise<void> => {
  for (const end of closing.splice(0).toReversed()) await end()
}
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    void close().finally(() => process.exit(130))
  })
try {
  process.exitCode = (await (only === undefined ? runRandom() : runScenarios(only))) ? 0 : 1
} finally {
  await close()
}
process.exit()
