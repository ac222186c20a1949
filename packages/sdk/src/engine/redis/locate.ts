/** Where a link connects: asked before each of its connections. */
import { BadOption } from "../../errors.ts"
import { Connection } from "./connection.ts"
import { ConnectionLost } from "./faults.ts"
import { slotOf } from "./slot.ts"
import { readSlots, type SlotMap } from "./topology.ts"
import { type Address, type Place, placeText, type Target, targetAt } from "./url.ts"

export interface Locator {
  /** For messages. */
  readonly shown: string
  /** A replica is not the one that is looked for. */
  readonly primaryOnly: boolean
  /** Asked so often also while a connection stands; undefined: the server itself says when it is not the one any more. */
  readonly locateMs: number | undefined
  locate(timeout: number): Promise<Target>
}

/** Who has not said within it where another server is, does not count. */
const askTimeout = 1_000
/** As of any other call: then the connection is given up. */
const answerTimeout = 2_500

export const fixed = (target: Target): Locator => ({
  shown: target.shown,
  primaryOnly: false,
  locateMs: undefined,
  locate: async () => target,
})

/** A primary of a cluster at this address. */
export const fixedPrimary = (target: Target): Locator => ({ ...fixed(target), primaryOnly: true })

/** One server after the other, until one answers. */
export function anyOf(address: Address): Locator {
  let turn = 0
  return {
    shown: address.shown,
    primaryOnly: false,
    locateMs: undefined,
    locate: async () => targetAt(address, address.places[turn++ % address.places.length] ?? address.places[0]),
  }
}

const wantsLogin = (error: unknown): boolean => String(error).includes("NOAUTH")
const nameless = (target: Target, timeout: number): Promise<Connection> =>
  Connection.plain({ ...target, username: undefined, password: undefined }, timeout)

/** Who is asked and answers is kept: a question each second needs no connection each second. */
export class Askable {
  readonly #address: Address
  /** Only who asks for a login gets one: most Sentinels know no users, and refuse who names one. */
  readonly #shy: boolean
  readonly #open = new Map<string, Promise<Connection>>()
  #closed = false

  constructor(address: Address, { shy = false } = {}) {
    this.#address = address
    this.#shy = shy
  }

  async #connect(place: Place, timeout: number): Promise<Connection> {
    const target = { ...targetAt(this.#address, place), db: 0 }
    if (!this.#shy || target.password === undefined) return await Connection.plain(target, timeout)
    return await nameless(target, timeout).catch(async (error: unknown) => {
      if (wantsLogin(error)) return await Connection.plain(target, timeout)
      throw error
    })
  }

  async at(place: Place, timeout: number): Promise<Connection> {
    if (this.#closed) throw new ConnectionLost("the engine was closed")
    const name = placeText(place)
    const open = this.#open.get(name) ?? this.#connect(place, timeout)
    this.#open.set(name, open)
    try {
      const connection = await open
      // what is asked has a deadline; what serves keeps the process alive
      connection.unref()
      connection.onLost(() => this.#open.delete(name))
      return connection
    } catch (error) {
      this.#open.delete(name)
      throw error
    }
  }

  close(): void {
    this.#closed = true
    for (const open of this.#open.values())
      open.then(
        (connection) => connection.destroy("the engine was closed"),
        () => {},
      )
    this.#open.clear()
  }
}

interface Answer {
  readonly target: Target
  /** Of the Sentinels' last failover: a Sentinel that was cut off knows an older one. */
  readonly epoch: number
}

async function askSentinel(connection: Connection, address: Address, master: string): Promise<Answer> {
  const reply = await connection.command("sentinel", ["MASTER", master], askTimeout)
  const parts = (Array.isArray(reply) ? reply : []).map(String)
  const field = (name: string): string => parts[parts.indexOf(name) + 1] ?? ""
  const place = { host: field("ip"), port: Number(field("port")) }
  return { target: targetAt(address, place), epoch: Number(field("config-epoch")) }
}

/** The primary that the Sentinels name: of the answers of a majority, or of all that answer, the latest. */
export function sentinelPrimary(address: Address, master: string): Locator & { close(): void } {
  const sentinels = new Askable(address, { shy: true })
  const { places } = address
  const enough = Math.floor(places.length / 2) + 1
  /** One question at a time, for all links. */
  let asking: Promise<Target> | undefined
  const ask = async (timeout: number): Promise<Target> => {
    const answers: Answer[] = []
    const errors: unknown[] = []
    const wait = Math.min(timeout, askTimeout)
    await new Promise<void>((resolve) => {
      const settled = () => {
        if (answers.length >= enough || answers.length + errors.length === places.length) resolve()
      }
      for (const place of places)
        sentinels
          .at(place, wait)
          .then((connection) => askSentinel(connection, address, master))
          .then(
            (answer) => answers.push(answer),
            (error: unknown) => errors.push(error),
          )
          .then(settled)
          .catch(() => {})
    })
    const latest = answers.toSorted((a, b) => b.epoch - a.epoch)[0]
    if (latest) return latest.target
    const unknown = errors.find((error) => String(error).includes("No such master"))
    if (unknown === undefined || errors.some((error) => error instanceof ConnectionLost)) throw errors[0]
    throw new BadOption(
      `expected the store URL to name a primary that the Sentinels watch, got: "${master}". It is the name in their "sentinel monitor" line.`,
      { store: address.shown },
    )
  }
  return {
    shown: address.shown,
    primaryOnly: true,
    locateMs: askTimeout,
    locate: (timeout) => (asking ??= ask(timeout).finally(() => (asking = undefined))),
    close: () => sentinels.close(),
  }
}

/** A connection that others use is not given up for a question. */
async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(new ConnectionLost(`no answer within ${ms} ms`)), ms)))
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Asks up to three nodes and believes who sees most of the cluster: one that was cut off still has its old map. */
export async function readMap(
  at: (place: Place, timeout: number) => Promise<Connection>,
  places: ReadonlyArray<Place>,
  timeout: number,
): Promise<SlotMap> {
  const wait = Math.min(timeout, askTimeout)
  let failure: unknown = new ConnectionLost("no node of the cluster answered")
  const left = [...places]
  while (left.length > 0) {
    const some = left.splice(0, 3)
    const maps = await Promise.allSettled(
      some.map(async (place) => await within(wait, readSlots(await at(place, wait), place.host, answerTimeout))),
    )
    let best: SlotMap | undefined
    for (const map of maps) {
      if (map.status === "rejected") failure = map.reason
      else if (map.value.ranges.length > 0 && (best === undefined || map.value.rank > best.rank)) best = map.value
    }
    if (best !== undefined) return best
  }
  throw failure
}

export const shuffled = <T>(items: ReadonlyArray<T>): T[] =>
  items
    .map((item) => [Math.random(), item] as const)
    .toSorted((a, b) => a[0] - b[0])
    .map(([, item]) => item)

/** The primary that has a key's slot. */
export function slotPrimary(address: Address, key: string, read: (timeout: number) => Promise<SlotMap>): Locator {
  return {
    shown: address.shown,
    primaryOnly: true,
    locateMs: undefined,
    locate: async (timeout) => {
      const slot = slotOf(key)
      const { ranges } = await read(timeout)
      const found = ranges.find(({ first, last }) => first <= slot && slot <= last)
      if (found === undefined) throw new Error(`CLUSTERDOWN nobody serves slot ${slot}`)
      return targetAt(address, found.primary, found.primary.hostname)
    },
  }
}
