/**
 * The local copy of a replicated map. The store's copy has a revision that grows by one with every change; this one follows it.
 *
 * - M1 The copy is always the store's content at `revision`, which never goes back.
 * - M2 Listeners see every difference exactly once, in the order of revisions. Changes that were missed arrive merged, as one difference.
 * - M3 A notification is applied only if it is the next one; a gap is repaired by a snapshot, an old one is dropped.
 * - M4 One snapshot is in flight at a time; what is announced meanwhile is repaired by another one.
 */
export interface MapSnapshot<V> {
  readonly revision: number
  readonly entries: ReadonlyMap<string, V>
}

export type MapChange<V> =
  | { readonly type: "set"; readonly key: string; readonly value: V; readonly previous: V | undefined }
  | { readonly type: "remove"; readonly key: string; readonly previous: V }

export type MapListener<V> = (changes: ReadonlyArray<MapChange<V>>, revision: number) => void

export interface MapSource<V> {
  /** Reads the whole map. */
  snapshot(): Promise<MapSnapshot<V>>
  /** Whether a key's value did not change, so that listeners hear of real changes only. */
  equal(a: V, b: V): boolean
}

export class ReplicatedMap<V> {
  readonly #source: MapSource<V>
  readonly #listeners = new Set<MapListener<V>>()
  #entries: ReadonlyMap<string, V> = new Map()
  #revision = -1
  /** The highest revision that was announced: the copy is behind while it is above `#revision`. */
  #announced = -1
  #loading: Promise<void> | undefined

  constructor(source: MapSource<V>) {
    this.#source = source
  }

  /** -1 before the first snapshot. */
  get revision(): number {
    return this.#revision
  }

  get entries(): ReadonlyMap<string, V> {
    return this.#entries
  }

  get(key: string): V | undefined {
    return this.#entries.get(key)
  }

  onChange(listener: MapListener<V>): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** A change notification that carries its content. */
  offer(revision: number, key: string, value: V | undefined): void {
    if (revision <= this.#revision) return
    if (revision !== this.#revision + 1) {
      this.announce(revision)
      return
    }
    const entries = new Map(this.#entries)
    if (value === undefined) entries.delete(key)
    else entries.set(key, value)
    this.#become(revision, entries)
  }

  /** A revision was seen somewhere: repairs the copy if it is behind. */
  announce(revision: number): void {
    if (revision > this.#announced) this.#announced = revision
    if (this.#announced > this.#revision) this.load().catch(() => {})
  }

  /** Reads a snapshot that is at least as new as this call. */
  async load(): Promise<void> {
    // A snapshot in flight may have been read before the change that the caller knows of.
    if (this.#loading !== undefined) await this.#loading.catch(() => {})
    this.#loading ??= this.#read().finally(() => (this.#loading = undefined))
    await this.#loading
  }

  async #read(): Promise<void> {
    const snapshot = await this.#source.snapshot()
    if (snapshot.revision <= this.#revision) return
    this.#become(snapshot.revision, snapshot.entries)
  }

  #become(revision: number, entries: ReadonlyMap<string, V>): void {
    const before = this.#entries
    const changes: Array<MapChange<V>> = []
    for (const [key, previous] of before) if (!entries.has(key)) changes.push({ type: "remove", key, previous })
    for (const [key, value] of entries) {
      const previous = before.get(key)
      if (previous === undefined || !this.#source.equal(previous, value)) changes.push({ type: "set", key, value, previous })
    }
    this.#entries = entries
    this.#revision = revision
    for (const listener of this.#listeners) listener(changes, revision)
  }
}
