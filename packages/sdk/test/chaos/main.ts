/** `npm run chaos`: random schedules of the verbs under load. The last line is the verdict; exit code 1: a promise was broken. */
import { parseArgs } from "node:util"
import { randomRun } from "./random.ts"
import { openStore, storeNames, type StoreName } from "./stores.ts"
import { verdictText, World } from "./world.ts"

const usage = `npm run chaos -- [--minutes N] [--seed S] [--store ${storeNames.join("|")}]`
const minutesMax = 240

const number = (text: string, name: string, max: number): number => {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0 && value <= max) return value
  throw new Error(`expected --${name} to be a number up to ${max}, got: ${text}. ${usage}`)
}

const read = (): { readonly minutes: number; readonly seed: number; readonly name: StoreName } => {
  const { values } = parseArgs({
    options: { minutes: { type: "string" }, seed: { type: "string" }, store: { type: "string", default: "redis" } },
  })
  const minutes = number(values.minutes ?? "1", "minutes", minutesMax)
  const seed = number(values.seed ?? String(1 + Math.floor(Math.random() * 1_000_000)), "seed", Number.MAX_SAFE_INTEGER)
  const name = storeNames.find((one) => one === values.store)
  if (name === undefined) throw new Error(`expected --store to be one of ${storeNames.join(", ")}, got: ${values.store}. ${usage}`)
  return { minutes, seed, name }
}

const given = ((): ReturnType<typeof read> => {
  try {
    return read()
  } catch (error) {
    console.error(`chaos: ${(error as Error).message}`)
    process.exit(1)
  }
})()
const { minutes, seed, name } = given
const log = (text: string): void => console.log(text)
log(`chaos on ${name}, seed ${seed}, ${minutes} minutes; again: npm run chaos -- --minutes ${minutes} --seed ${seed} --store ${name}`)
const store = await openStore(name)
const closing: Array<() => Promise<void>> = [() => store.stop()]
const close = async (): Promise<void> => {
  for (const end of closing.splice(0).toReversed()) await end()
}
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    void close().finally(() => process.exit(130))
  })
try {
  const world = await World.open(store, { workers: 3, everyMs: 300, log })
  closing.push(() => world.close())
  let stopped: unknown
  const count = await randomRun(world, seed, minutes).catch((error: unknown) => {
    stopped = error
    return 0
  })
  const verdict = await world.verify()
  if (stopped !== undefined) log(`✗ the schedule stopped: ${stopped instanceof Error ? stopped.message : JSON.stringify(stopped)}`)
  log(`seed ${seed}, ${count} verbs: ${verdictText(verdict)}`)
  process.exitCode = verdict.ok && stopped === undefined ? 0 : 1
} finally {
  await close()
}
process.exit()
