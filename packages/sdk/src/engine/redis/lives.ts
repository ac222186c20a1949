/**
 * How the server sees the processes of sessions (S7, S8): by two connections, the data link's and one for renewals, which close when the
 * process dies. Their client ids, the addresses that the server saw and the server's run_id are the life's sign.
 *
 * Renewals, changes of the member record, probes and marks go over the renewal connection: a data path with a second of queued batches would
 * else delay a renewal by that second, and a worker would be told dead by its own load. It is the connection of the lease thread's own
 * engine (S4), which tells who it is (`presence`) to the engine of the data path (`LifeOptions.renewals`). Where there is no such thread, it
 * is opened here with the first registration. A client has none.
 *
 * Only a direct path counts: there a connection that the server sees closed is one that the worker sees closed. Behind a proxy it
 * need not be (S7), so that others would take over from a worker that has seen nothing. Where the path is direct and a close was false
 * all the same (a firewall that forgot the connection and answers for one side only), the overlap is bounded by the trust window: the
 * worker's writes are refused from the first claim on (its epoch is old, and they would come on a connection that is gone), its next
 * renewal answers "dead", and without any answer its trust ends by its own clock.
 */
import type { Life, LifeHandle, LifeOptions, Presence, Probe } from "../engine.ts"
import type { Connection } from "./connection.ts"
import type { Link } from "./link.ts"

/** One connection as the server names it. */
type Identity = {
  readonly runId: string
  readonly id: string
  /** As the server saw it. */
  readonly address: string
  readonly direct: boolean
}
/** An identity, or why there is none; what `presence` gives. */
type Found = Identity | { readonly why: string }

interface Registration {
  readonly direct: boolean
  readonly onChange: ((life: Life) => void) | undefined
  readonly renewal: () => Found | undefined
  /** Client ids of the last sign told. */
  told: ReadonlyArray<string>
  sign: string
}

/** An id that no connection has; Valkey refuses 0. */
const nobody = String(2n ** 63n - 1n)
/** A handshake's share: the answer is a line of text. */
const askTimeout = 2_500
/** A probe that takes longer says nothing, and the next one is better; the connection has as long as any other call before it is given up. */
const probeWait = 1_000

const field = (line: string, name: string): string =>
  line
    .split(" ")
    .find((part) => part.startsWith(`${name}=`))
    ?.slice(name.length + 1) ?? ""

/** Asks the server who this connection is. An answer of refusal is an answer: the connection serves all the same. */
export async function identify(connection: Connection): Promise<Found> {
  try {
    // The list of nobody: only whether this user may ask for it.
    const [info] = await Promise.all([
      connection.command("client", ["INFO"], askTimeout),
      connection.command("client", ["LIST", "ID", nobody], askTimeout),
    ])
    const line = String(info).trim()
    const [id, address] = [field(line, "id"), field(line, "addr")]
    if (id === "" || connection.info.runId === "") return { why: "the server does not tell its connections apart" }
    return { runId: connection.info.runId, id, address, direct: address === connection.localAddress }
  } catch (error) {
    if (error instanceof Error && error.name === "ReplyError")
      return { why: `Redis refuses CLIENT INFO or CLIENT LIST (${error.message}). Allow its user +client|info +client|list.` }
    throw error
  }
}

/** `undefined`: no answer, or none in time. */
const answerOf = async (connection: Connection, ids: ReadonlyArray<string>): Promise<string | undefined> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, probeWait, undefined)))
  const answer = connection.command("client", ["LIST", "ID", ...ids], askTimeout).then(String, () => undefined)
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

interface Named {
  readonly runId: string
  readonly ids: ReadonlyArray<string>
}

/** `run=<run_id> data=<id>@<address> renewal=<id>@<address>`; a connection that is not there is left out. */
const spell = (data: Identity | undefined, renewal: Identity | undefined): string => {
  const part = (name: string, identity: Identity | undefined) =>
    identity === undefined ? [] : [`${name}=${identity.id}@${identity.address}`]
  return [`run=${(data ?? renewal)?.runId ?? ""}`, ...part("data", data), ...part("renewal", renewal)].join(" ")
}
const parse = (sign: string): Named | undefined => {
  const match = /^run=(\S+)((?: \w+=\d+@\S+)+)$/.exec(sign)
  if (match === null) return undefined
  return { runId: match[1] ?? "", ids: [...(match[2] ?? "").matchAll(/=(\d+)@/g)].map(([, id]) => id ?? "") }
}

export class Lives {
  readonly #data: Link
  readonly #openRenewal: () => Promise<Link>
  readonly #registrations = new Set<Registration>()
  readonly #watchers = new Set<(presence: Presence | undefined) => void>()
  #renewal: Link | undefined
  #opening: Promise<void> | undefined
  #following: Promise<void> | undefined
  readonly #found: { data: Found | undefined; renewal: Found | undefined } = { data: undefined, renewal: undefined }
  /** The user may not look at the list of connections: no probe is sent. */
  #blind = false
  #closed = false

  constructor(data: Link, openRenewal: () => Promise<Link>) {
    this.#data = data
    this.#openRenewal = openRenewal
  }

  /** Where renewals go: to the data link's server over their own connection, once there is one. */
  get link(): Link {
    return this.#renewal ?? this.#data
  }

  async register(options: LifeOptions): Promise<LifeHandle> {
    const { renewals } = options
    await (renewals === undefined ? this.#open() : this.#followData())
    const registration: Registration = {
      direct: options.direct ?? false,
      onChange: options.onChange,
      renewal: renewals === undefined ? () => this.#found.renewal : () => renewals.current() as Found | undefined,
      told: [],
      sign: "",
    }
    const unfollow = renewals?.onChange(() => this.#tell(registration))
    const life = this.#lifeOf(registration)
    this.#registrations.add(registration)
    const end = async (): Promise<void> => {
      this.#registrations.delete(registration)
      unfollow?.()
    }
    return { life, end }
  }

  /** Who the data link is to the server: for a life that another engine of this process registers. */
  async presence(onChange: (presence: Presence | undefined) => void): Promise<Presence | undefined> {
    await this.#followData()
    this.#watchers.add(onChange)
    return this.#found.data
  }

  async probe(signs: ReadonlyArray<string>): Promise<ReadonlyArray<Probe>> {
    const named = signs.map(parse)
    const { connection } = this.link
    if (connection === undefined || this.#blind) return signs.map(() => "unknown")
    // Ids are given anew by each life of a server: those of another one name nobody, or somebody else.
    const here = named.map((one) => (one?.runId === connection.info.runId ? one.ids : undefined))
    const ids = [...new Set(here.flatMap((one) => one ?? []))]
    if (ids.length === 0) return signs.map(() => "unknown")
    const list = await answerOf(connection, ids)
    if (list === undefined) return signs.map(() => "unknown")
    const present = new Set([...list.matchAll(/^id=(\d+) /gm)].map(([, id]) => id ?? ""))
    return here.map((one) => (one === undefined ? "unknown" : one.some((id) => present.has(id)) ? "alive" : "dead"))
  }

  close(): void {
    this.#closed = true
    this.#registrations.clear()
    this.#watchers.clear()
    this.#renewal?.close()
  }

  /** Both connections are asked once; later ones as they come. */
  #open(): Promise<void> {
    this.#opening ??= (async () => {
      const renewal = await this.#openRenewal()
      if (this.#closed) renewal.close()
      this.#renewal = renewal
      await Promise.all([this.#followData(), this.#follow("renewal", renewal)])
    })().catch((error: unknown) => {
      this.#opening = undefined
      this.#renewal?.close()
      this.#renewal = undefined
      throw error
    })
    return this.#opening
  }

  #followData(): Promise<void> {
    this.#following ??= this.#follow("data", this.#data)
    return this.#following
  }

  async #follow(name: "data" | "renewal", link: Link): Promise<void> {
    const asked = new WeakMap<Connection, Found>()
    link.onConnected(async (connection) => void asked.set(connection, await identify(connection)))
    link.onChange((connection) => this.#set(name, connection && asked.get(connection)))
    const { connection } = link
    if (connection === undefined) return
    const found = await identify(connection).catch(() => undefined)
    if (link.connection === connection) this.#set(name, found)
  }

  #set(name: "data" | "renewal", found: Found | undefined): void {
    this.#found[name] = found
    if (name === "data") for (const watcher of this.#watchers) watcher(found)
    if (found !== undefined) this.#blind = "why" in found
    for (const registration of this.#registrations) this.#tell(registration)
  }

  #tell(registration: Registration): void {
    if (this.#registrations.has(registration)) registration.onChange?.(this.#lifeOf(registration))
  }

  #lifeOf(registration: Registration): Life {
    const { data } = this.#found
    const renewal = registration.renewal()
    const why = this.#why(registration)
    if (why !== undefined) {
      registration.told = []
      registration.sign = ""
      return { sign: "", left: "all", why }
    }
    const known = [data, renewal].filter((found): found is Identity => found !== undefined && "id" in found)
    // Two servers can only be between two connections of one link: a restart. The sign waits for the other connection.
    const same = known.every(({ runId }) => runId === known[0]?.runId)
    const sign = spell(data as Identity | undefined, renewal as Identity | undefined)
    const grown = known.some(({ id, runId }) => !registration.told.includes(`${runId} ${id}`))
    if (grown && same) {
      registration.told = known.map(({ id, runId }) => `${runId} ${id}`)
      registration.sign = sign
      return { sign, left: known.length === 2 ? "all" : "some" }
    }
    const left = registration.told.filter((told) => known.some(({ id, runId }) => told === `${runId} ${id}`)).length
    return { sign: registration.sign, left: left === 0 ? "none" : left < 2 ? "some" : "all" }
  }

  #why(registration: Registration): string | undefined {
    for (const found of [this.#found.data, registration.renewal()]) {
      if (found === undefined) continue
      if ("why" in found) return found.why
      if (!found.direct && !registration.direct)
        return (
          `Redis sees this process at ${found.address}, which is not its own address, so that something stands between them. ` +
          "If it closes both sides of a connection together, as address translation does, set directConnection: true."
        )
    }
    return undefined
  }
}
