/** A map that many processes read in memory and write through the store. */
import { randomUUID } from "node:crypto"
import { Batcher } from "../engine/batcher.ts"
import type { Engine } from "../engine/engine.ts"
import { itemsOf } from "../engine/list-text.ts"
import type { MapNotice, MapOperation, MapWrite, MapWriteReply } from "../engine/maps.ts"
import { openEngine } from "../engine/open.ts"
import { BadInput, BadOption, MapFull, NotAllowed } from "../errors.ts"
import { checkKey, checkPoolName } from "../key.ts"
import type { Options } from "../options.ts"
import { checkName, checkOperations, readMapOptions, type JoinMapOptions } from "./options.ts"
import { ReplicatedMap, type MapDifference, type MapListener } from "./replicated-map.ts"

/** A request id is kept for as long as its call may be repeated, which is callTimeoutMs and at most 60 s. */
const requestRetention = 120_000

export type MapWritten =
  | { readonly status: "ok"; readonly revision: number; readonly values: ReadonlyArray<string | undefined> }
  /** Operation `at`, a swap, found `value`; nothing was written. */
  | { readonly status: "conflict"; readonly revision: number; readonly at: number; readonly value: string | undefined }

interface Host {
  readonly engine: Engine
  readonly ownsEngine: boolean
  readonly pool: string
  readonly name: string
  readonly options: Pick<Options, "mapEntries" | "mapBytes" | "mapAgeMs" | "mapCheckMs">
}

/** What a written revision did, as its notice will say. */
function differenceOf(operations: ReadonlyArray<MapOperation>, values: ReadonlyArray<string | undefined>): MapDifference<string> {
  const last = operations.findLastIndex(({ type }) => type === "reset")
  const changes = new Map<string, string | undefined>()
  operations.forEach((operation, n) => {
    if (n > last && operation.type !== "reset") changes.set(operation.key, values[n])
  })
  return { cleared: last >= 0, changes: [...changes] }
}

const decodeList = (text: string | undefined): ReadonlyArray<string> | undefined => itemsOf(text)?.map((item) => JSON.parse(item) as string)

/**
 * Reads are local and answer at once; a write goes to the store, and has arrived in the local copy when it resolves. Values are strings; a
 * list is the JSON text of an array of strings and a counter its decimal text, so that `get` shows both as they are.
 */
export class JoinedMap {
  readonly name: string
  readonly #host: Host
  readonly #copy: ReplicatedMap<string>
  readonly #writes: Batcher<MapWrite, MapWriteReply>
  #unsubscribe: () => Promise<void> = async () => {}
  #timer: NodeJS.Timeout | undefined
  #closed = false

  private constructor(host: Host) {
    const { engine, pool, name } = host
    this.name = name
    this.#host = host
    this.#copy = new ReplicatedMap<string>({
      snapshot: async (known) => {
        const [state] = await engine.readMaps(pool, [{ map: name, known }])
        return state ?? { revision: 0, entries: new Map() }
      },
      equal: (a, b) => a === b,
      mayGoBack: true,
    })
    this.#writes = new Batcher((items) => engine.changeMaps(pool, items))
  }

  /** Used by `joinMap`. */
  static async join(host: Host): Promise<JoinedMap> {
    const map = new JoinedMap(host)
    try {
      // Listening comes first: what is written between the two is announced, or in the snapshot.
      map.#unsubscribe = await host.engine.onMapChange(host.pool, host.name, (notice) => map.#hear(notice))
      await map.#copy.load()
    } catch (error) {
      await map.close()
      throw error
    }
    map.#checkLater()
    return map
  }

  /** Of the local copy. Grows by one with every write to the map that changed something. */
  get revision(): number {
    return this.#copy.revision
  }

  get size(): number {
    return this.#copy.entries.size
  }

  get(key: string): string | undefined {
    return this.#copy.get(key)
  }

  has(key: string): boolean {
    return this.#copy.entries.has(key)
  }

  /** The items of a list; none when the key is absent. Throws `BadInput` when the value is something else. */
  list(key: string): ReadonlyArray<string> {
    const value = this.get(key)
    const items = decodeList(value)
    if (items === undefined) throw this.#mistyped(key, value, "a list")
    return items
  }

  /** The entries as they are now; later changes do not show in it. */
  entries(): ReadonlyMap<string, string> {
    return new Map(this.#copy.entries)
  }

  /** Resolves with the revision of the write. */
  async set(key: string, value: string): Promise<number> {
    return (await this.#writeOne({ type: "set", key, value })).revision
  }

  /** Sets the value if the present one is `expected`; `undefined` stands for an absent key, on both sides. `value` is what is there after. */
  async compareAndSet(
    key: string,
    expected: string | undefined,
    value: string | undefined,
  ): Promise<{ readonly swapped: boolean; readonly value: string | undefined }> {
    const written = await this.write([{ type: "swap", key, expect: expected, value }])
    return written.status === "ok" ? { swapped: true, value } : { swapped: false, value: written.value }
  }

  /** Appends to a list, and resolves with the whole list. */
  async append(key: string, items: ReadonlyArray<string>): Promise<ReadonlyArray<string>> {
    return decodeList((await this.#writeOne({ type: "append", key, items, unique: false })).value) ?? []
  }

  /** Appends those items that are not in the list yet. */
  async appendUnique(key: string, items: ReadonlyArray<string>): Promise<ReadonlyArray<string>> {
    return decodeList((await this.#writeOne({ type: "append", key, items, unique: true })).value) ?? []
  }

  /** Removes every occurrence of the items from a list; a list that becomes empty is removed with its key. */
  async remove(key: string, items: ReadonlyArray<string>): Promise<ReadonlyArray<string>> {
    return decodeList((await this.#writeOne({ type: "remove", key, items })).value) ?? []
  }

  /** Adds to an integer, which is 0 where the key is absent, and resolves with the sum: no two writers get the same one. */
  async increment(key: string, by = 1): Promise<number> {
    return Number((await this.#writeOne({ type: "increment", key, by })).value)
  }

  async decrement(key: string, by = 1): Promise<number> {
    return await this.increment(key, -by)
  }

  async delete(key: string): Promise<number> {
    return (await this.#writeOne({ type: "delete", key })).revision
  }

  /** Removes all keys. */
  async reset(): Promise<number> {
    return (await this.#writeOne({ type: "reset" })).revision
  }

  /**
   * At most 1,000 operations that take effect together, in their order, or not at all; as one revision. `id`: a repetition with it within two
   * minutes changes nothing and gets the first answer. Throws `BadInput` where a list or an integer was needed, `MapFull` at the limits.
   */
  async write(operations: ReadonlyArray<MapOperation>, options: { readonly id?: string } = {}): Promise<MapWritten> {
    if (this.#closed) throw new NotAllowed(`map "${this.name}" was closed: join it again`, { map: this.name })
    checkOperations(operations)
    const { mapEntries, mapBytes, mapAgeMs } = this.#host.options
    const reply = await this.#writes.add({
      map: this.name,
      id: options.id === undefined ? randomUUID() : checkKey(options.id, "the request id"),
      retention: requestRetention,
      keep: mapAgeMs,
      maxEntries: mapEntries,
      maxBytes: mapBytes,
      operations,
    })
    if (reply.status === "ok" && reply.changed) this.#copy.offer(reply.revision, differenceOf(operations, reply.values))
    // What others wrote before it is not here yet.
    if (this.#copy.revision < reply.revision) await this.#copy.load()
    if (reply.status === "mistyped") {
      const operation = operations[reply.at]
      const wanted = operation?.type === "increment" ? "an integer within the safe range" : "a list"
      throw this.#mistyped(operation !== undefined && "key" in operation ? operation.key : "", reply.value, wanted)
    }
    if (reply.status === "full")
      throw new MapFull(
        `map "${this.name}" would grow over ${mapEntries} entries or ${mapBytes} bytes. Delete keys, or raise mapEntries or mapBytes.`,
        { map: this.name, mapEntries, mapBytes },
      )
    const { revision } = reply
    return reply.status === "ok"
      ? { status: "ok", revision, values: reply.values }
      : { status: "conflict", revision, at: reply.at, value: reply.value }
  }

  /**
   * Called with what changed, in the order of revisions, each difference once; what was missed (a lost connection) comes merged, as one. It
   * runs inside of the change, so that the map is already as it says. Returns what ends it.
   */
  onChange(listener: MapListener<string>): () => void {
    return this.#copy.onChange((changes, revision) => {
      if (changes.length === 0) return
      try {
        listener(changes, revision)
      } catch (error) {
        // Neither the copy nor the other listeners may suffer from it, nor may it be hidden.
        queueMicrotask(() => {
          throw error
        })
      }
    })
  }

  /** Reads the store now: afterwards the copy is at least as new as this call. */
  async refresh(): Promise<void> {
    await this.#copy.load()
  }

  /** Removes the map from the store, for everybody; who writes next begins a new one. */
  async destroy(): Promise<void> {
    await this.#host.engine.destroyMaps(this.#host.pool, [this.name])
    await this.#copy.load()
  }

  /** Stops following. The map stays in the store, and the local copy as it was. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#unsubscribe()
    if (this.#host.ownsEngine) await this.#host.engine.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #writeOne(operation: MapOperation): Promise<{ readonly revision: number; readonly value: string | undefined }> {
    const written = await this.write([operation])
    return { revision: written.revision, value: written.status === "ok" ? written.values[0] : written.value }
  }

  #hear(notice: MapNotice): void {
    if (this.#closed) return
    if (notice.type === "changed") this.#copy.offer(notice.revision, notice)
    else this.#copy.load().catch(() => {})
  }

  /** Finds what a lost notice missed when no later one tells of it; a failure is repaired by the next look. */
  #checkLater(): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => {
      this.#copy
        .load()
        .catch(() => {})
        .finally(() => this.#checkLater())
    }, this.#host.options.mapCheckMs).unref()
  }

  #mistyped(key: string, value: string | undefined, wanted: string): Error {
    const got = value === undefined ? "no value" : JSON.stringify(value.slice(0, 80))
    return new BadInput(`expected "${key}" of map "${this.name}" to be ${wanted}, got: ${got}`, { map: this.name, key })
  }
}

/**
 * Joins the map of this name: reads it whole, and follows its changes from then on. Every process that joins it has the same one.
 *
 * ```ts
 * await using flags = await joinMap("flags", { pool: "tenants", store: "memory:docs" })
 * await flags.set("beta", "on")
 * flags.get("beta") // "on"
 * await flags.increment("visits") // 1
 * await flags.appendUnique("admins", ["ada", "ada"]) // ["ada"]
 * flags.get("admins") // '["ada"]'
 * ```
 */
export async function joinMap(name: string, options: JoinMapOptions): Promise<JoinedMap> {
  const checked = checkName(name, "map")
  if (checked.startsWith("~"))
    throw new BadOption(`expected the map's name not to begin with "~", which marks the pool's own maps, got: ${JSON.stringify(name)}`, {
      name,
    })
  const pool = checkPoolName(options.pool)
  const values = readMapOptions(options)
  const engine = options.engine ?? (await openEngine(options.store, { callTimeout: values.callTimeoutMs }))
  return await JoinedMap.join({ engine, ownsEngine: options.engine === undefined, pool, name: checked, options: values })
}
