/** The command line and the environment of the demo, checked. */
export interface DemoOptions {
  readonly tenants: number
  readonly seconds: number
  readonly json: boolean
  readonly help: boolean
  /** From PONOS_STORE; undefined: a file of its own. May hold a password: never print it, print `shownStore`. */
  readonly store: string | undefined
  /** The Postgres for the tenants' table; undefined: a SQLite file. May hold a password as well. */
  readonly tenantsDb: string | undefined
}

/** What the user got wrong, and how it is right. */
export class UsageError extends Error {}

export const usage = `usage: npm run demo -- [--tenants N] [--seconds N] [--tenants-db postgres://…] [--json]
  --tenants N     tenants at the beginning, 4 to 5000 (40)
  --seconds N     how long events are emitted, 5 to 3600 (30)
  --tenants-db A  keeps the tenants' table in the Postgres with this address, in a schema of its own, instead of a SQLite file
  --json          the verdict as one line of JSON on stdout; all else goes to stderr
PONOS_STORE=redis://host:port runs it on Redis; without it a SQLite file in a temporary directory is the store.
PONOS_TENANTS_DB=postgres://user:password@host:port/database is the same as --tenants-db, and is not seen in the list of processes.`

const numbers = {
  "--tenants": { min: 4, max: 5_000, default: 40 },
  "--seconds": { min: 5, max: 3_600, default: 30 },
} as const

const withValue: ReadonlyArray<string> = [...Object.keys(numbers), "--tenants-db"]
const flags: ReadonlyArray<string> = [...withValue, "--json", "--help"]

export const readArgs = (args: ReadonlyArray<string>, environment: Readonly<Record<string, string | undefined>>): DemoOptions => {
  const given = new Map<string, string>()
  for (let index = 0; index < args.length; index++) {
    const [name = "", inline] = (args[index] ?? "").split(/=(.*)/s)
    if (!flags.includes(name)) throw new UsageError(`expected only the flags ${flags.join(", ")}, got: ${args[index]}${nearest(name)}`)
    if (given.has(name)) throw new UsageError(`expected ${name} once, got it twice`)
    const takesValue = withValue.includes(name)
    if (!takesValue && inline !== undefined) throw new UsageError(`expected ${name} without a value, got: ${args[index]}`)
    given.set(name, takesValue ? (inline ?? args[++index] ?? "nothing") : "")
  }
  return {
    tenants: readNumber("--tenants", given),
    seconds: readNumber("--seconds", given),
    json: given.has("--json"),
    help: given.has("--help"),
    store: readStore(environment["PONOS_STORE"]),
    tenantsDb: readTenantsDb(given.get("--tenants-db") ?? environment["PONOS_TENANTS_DB"]),
  }
}

const readNumber = (name: keyof typeof numbers, given: ReadonlyMap<string, string>): number => {
  const { min, max, default: otherwise } = numbers[name]
  const text = given.get(name)
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new UsageError(`expected ${name} to be an integer from ${min} to ${max}, got: ${text}`)
  return value
}

const readStore = (store: string | undefined): string | undefined => {
  if (store === undefined || store === "") return undefined
  if (/^(rediss?:\/\/|file:)/.test(store)) return store
  const why = store.startsWith("memory:") ? " (the demo has several processes, which a memory: store cannot join)" : ""
  throw new UsageError(`expected PONOS_STORE to be redis://…, rediss://… or file:…, got: ${shownStore(store)}${why}`)
}

const readTenantsDb = (address: string | undefined): string | undefined => {
  if (address === undefined || address === "") return undefined
  if (/^postgres(ql)?:\/\//.test(address) && URL.canParse(address)) return address
  // Where its password is, nobody knows.
  const got = address.includes(":") ? `${address.split(":", 1)[0]}:…` : address
  throw new UsageError(`expected --tenants-db, or PONOS_TENANTS_DB, to be postgres://user:password@host:port/database, got: ${got}`)
}

/** A store's address without user name and password. */
export const shownStore = (store: string): string => store.replace(/^([a-z]+:\/\/).*@/, "$1")

const nearest = (name: string): string => {
  const bare = name.replace(/^-+/, "")
  const flag = bare === "" ? undefined : flags.find((known) => known.slice(2).startsWith(bare.slice(0, 3)))
  return flag === undefined ? "" : ` (did you mean ${flag}?)`
}
