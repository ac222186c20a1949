/**
 * A Redis Cluster: one link for each primary, made when something goes there, and a map of the slots (B4: the Cluster class of ioredis
 * queues while it is offline and sends again whatever is set, so that nobody knows what ran).
 *
 * The map is read again when a server says MOVED or ends a subscription, when a link is lost, until each link in it stands, and every few
 * seconds: a primary that hangs says nothing. MOVED alone already tells of its slot. What was under way to a server that is no primary
 * any more fails with its link and goes to the next one.
 */
import type { Connection } from "./connection.ts"
import { ConnectionLost, isDown, isElsewhere, type Redirect, redirectOf } from "./faults.ts"
import { Link, type LinkOptions } from "./link.ts"
import { Askable, fixedPrimary, readMap, shuffled, slotPrimary, type Locator } from "./locate.ts"
import { repeated, type Route } from "./repeat.ts"
import type { Script } from "./scripts.ts"
import type { Servers } from "./servers.ts"
import { slotOf } from "./slot.ts"
import type { Primary, SlotMap } from "./topology.ts"
import { type Address, type Place, placeText, targetAt } from "./url.ts"
import { Waiters } from "./waiters.ts"

/** Between two readings of the map: at least, while something is amiss, and when nothing is. */
const refreshMinMs = 50
const refreshAmissMs = 250
const refreshMs = 5_000

interface Node {
  readonly name: string
  readonly primary: Primary
  link: Link | undefined
}

export class Cluster implements Servers, Route {
  readonly cluster = true
  readonly #address: Address
  readonly #options: LinkOptions
  readonly #asked: Askable
  /** By slot. */
  #served: Array<Node | undefined> = []
  readonly #nodes = new Map<string, Node>()
  /** Everybody of the last map: one of them knows the next. */
  #known: ReadonlyArray<Place>
  readonly #onLink: Array<(link: Link) => void> = []
  readonly #onMoved: Array<() => void> = []
  readonly #waiters = new Waiters()
  #timer: NodeJS.Timeout | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #refreshed = 0
  #refreshing = false
  /** Asked for while it was being read. */
  #again = false
  closed = false
  lastError: unknown

  private constructor(address: Address, options: LinkOptions) {
    this.#address = address
    this.#options = options
    this.#asked = new Askable(address)
    this.#known = address.places
  }

  static async open(address: Address, options: LinkOptions): Promise<Cluster> {
    const cluster = new Cluster(address, options)
    try {
      cluster.#use(await cluster.#read(options.connectTimeout))
    } catch (error) {
      cluster.close()
      throw error
    }
    cluster.#later(refreshMs)
    return cluster
  }

  get shown(): string {
    return this.#address.shown
  }

  get callTimeout(): number {
    return this.#options.callTimeout
  }

  /** For a link that follows one key, wherever its slot goes. */
  locator(key: string): Locator {
    return slotPrimary(this.#address, key, async (timeout) => {
      const map = await this.#read(timeout)
      if (!this.closed) this.#use(map)
      return map
    })
  }

  run(script: Script, given: ReadonlyArray<string>, args: ReadonlyArray<string>): Promise<unknown> {
    const keys = guarded(given)
    return repeated(this, keys[0] ?? "", (connection, timeout) => connection.run(script, keys, args, timeout))
  }

  command(name: string, args: ReadonlyArray<string>): Promise<unknown> {
    return repeated(this, args[0] ?? "", (connection, timeout) => connection.command(name, args, timeout))
  }

  linkOf(key: string): Link | undefined {
    const node = this.#served[slotOf(key)]
    return node && this.#linkTo(node)
  }

  serverOf(key: string): string {
    return this.#served[slotOf(key)]?.name ?? ""
  }

  /** Whether a connection is to who serves the key, as far as is known. */
  serves(key: string, { target }: Connection): boolean {
    const node = this.#served[slotOf(key)]
    return node === undefined || node.name === placeText(target)
  }

  onLink(listener: (link: Link) => void): void {
    this.#onLink.push(listener)
    for (const { link } of this.#nodes.values()) if (link) listener(link)
  }

  onMoved(listener: () => void): void {
    this.#onMoved.push(listener)
  }

  refresh(): void {
    this.#later(Math.max(0, this.#refreshed + refreshMinMs - performance.now()))
  }

  close(): void {
    this.closed = true
    clearTimeout(this.#timer)
    for (const { link } of this.#nodes.values()) link?.close()
    this.#asked.close()
    this.#waiters.wake()
  }

  connectionOf(key: string): Connection | undefined {
    return this.linkOf(key)?.connection
  }

  changed(key: string, ms: number): Promise<void> {
    this.lastError = this.linkOf(key)?.lastError ?? this.lastError
    return this.#waiters.wait(ms)
  }

  failed(connection: Connection, error: unknown): void {
    this.lastError = error
    const redirect = redirectOf(error)
    if (redirect?.asking) return
    if (redirect) this.#learn(redirect, connection)
    // A connection to a server that refuses everything is not needed; one that only lost a slot is.
    else if (isElsewhere(error)) connection.destroy(error instanceof Error ? error.message : "refused")
    if (redirect || error instanceof ConnectionLost || isElsewhere(error) || isDown(error)) this.refresh()
  }

  async asked(redirect: Redirect, connection: Connection, ms: number): Promise<Connection | undefined> {
    const link = this.#linkTo(this.#nodeAt(placeOf(redirect, connection)))
    if (!link.connection) await link.changed("", ms)
    return link.connection
  }

  // --- the map -----------------------------------------------------------------------------------------------------

  #learn(redirect: Redirect, connection: Connection): void {
    this.#served[redirect.slot] = this.#nodeAt(placeOf(redirect, connection))
    this.#tell()
  }

  #nodeAt(primary: Primary): Node {
    const name = placeText(primary)
    const known = this.#nodes.get(name)
    if (known) return known
    const node: Node = { name, primary, link: undefined }
    this.#nodes.set(name, node)
    return node
  }

  #linkTo(node: Node): Link {
    if (node.link) return node.link
    const link = Link.start(fixedPrimary(targetAt(this.#address, node.primary, node.primary.hostname)), this.#options)
    node.link = link
    link.onChange((connection) => (connection ? this.#waiters.wake() : this.refresh()))
    for (const listener of this.#onLink) listener(link)
    if (this.closed) link.close()
    return link
  }

  /** Over the links that stand, so that it costs no connection; then from all that were ever named here. */
  async #read(timeout: number): Promise<SlotMap> {
    const stands = (place: Place) => this.#nodes.get(placeText(place))?.link?.connection
    const places = [...shuffled(this.#known), ...this.#address.places].toSorted((a, b) => Number(!stands(a)) - Number(!stands(b)))
    return await readMap(async (place, wait) => stands(place) ?? (await this.#asked.at(place, wait)), places, timeout)
  }

  #use({ ranges, nodes }: SlotMap): void {
    const served: Array<Node | undefined> = Array.from({ length: 16_384 })
    const serving = new Set<Node>()
    for (const { first, last, primary } of ranges) {
      const node = this.#nodeAt(primary)
      serving.add(node)
      served.fill(node, first, last + 1)
    }
    const moved = served.some((node, slot) => node !== this.#served[slot])
    this.#served = served
    this.#known = nodes
    for (const [name, node] of this.#nodes) {
      if (serving.has(node)) continue
      this.#nodes.delete(name)
      node.link?.close()
    }
    if (moved) this.#tell()
  }

  #tell(): void {
    for (const listener of this.#onMoved) listener()
    this.#waiters.wake()
  }

  // --- when it is read ---------------------------------------------------------------------------------------------

  #later(ms: number): void {
    const at = performance.now() + ms
    if (this.#refreshing) this.#again = true
    if (this.closed || this.#refreshing || at >= this.#timerAt) return
    this.#timerAt = at
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#refresh(), ms)
    if (this.#options.background === true) this.#timer.unref()
  }

  async #refresh(): Promise<void> {
    this.#timerAt = Number.POSITIVE_INFINITY
    this.#refreshing = true
    this.#again = false
    this.#refreshed = performance.now()
    let amiss = false
    try {
      this.#use(await this.#read(this.#options.connectTimeout))
    } catch (error) {
      this.lastError = error
      amiss = true
    }
    this.#refreshing = false
    amiss ||= this.#served.includes(undefined)
    for (const { link } of this.#nodes.values()) amiss ||= link !== undefined && !link.connection
    this.#later(this.#again ? refreshMinMs : amiss ? refreshAmissMs : refreshMs)
  }
}

/**
 * A script that is given a prefix reaches keys that Redis does not know of when it begins. While their slot moves, some are on the old server
 * and some on the new one: the script would fail in the middle, or find on the new server nothing of what is still on the old one, and
 * write a second one of it. Two keys, neither of which ever exists, let Redis refuse the call before it begins (TRYAGAIN), wherever it is
 * sent, until the slot has arrived. Without it each run of the test that moves slots under load failed: takes half way, and moves that Redis
 * gave up because the key was there twice.
 */
const guarded = (keys: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [prefix] = keys
  return keys.length === 1 && prefix?.endsWith(":") ? [prefix, `${prefix}guard`] : keys
}

function placeOf({ host, port }: Redirect, { target }: Connection): Primary {
  return { host: host || target.host, port, hostname: "" }
}
