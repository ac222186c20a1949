/**
 * The local copy of a replicated map. The store's copy has a revision that grows by one with every change; this one follows it.
 *
 * - M1 The copy is always the store's content at `revision`. That goes back only where the source says that it may, and only by a snapshot
 *   that was asked for when the copy was newer already: the map was destroyed, or the store was emptied or rolled back.
 * - M2 Listeners see every difference exactly once, in the order of revisions. Changes that were missed arrive merged, as one difference.
 * - M3 A notification is applied only if it is the next one; a gap is repaired by a snapshot, an old one is dropped.
 * - M4 One snapshot is in flight at a time; what is announced meanwhile is repaired by another one.
 */
export interface MapSnapshot<V> {
  readonly revision: number
  /** Absent when the revision is the known one. */
  readonly entries: ReadonlyMap<string, V> | undefined
}

export type MapChange<V> =
  | { readonly type: "set"; readonly key: string; readonly value: V; readonly previous: V | undefined }
  | { readonly type: "remove"; readonly key: string; readonly previous: V }

export type MapListener<V> = (changes: ReadonlyArray<MapChange<V>>, revision: number) => void

/** What one revision did; `undefined` removes. */
export interface MapDifference<V> {
  /** Everything was removed first. */
  readonly cleared: boolean
  readonly changes: ReadonlyArray<readonly [key: string, value: V | undefined]>
}

export interface MapSource<V> {
  /** Reads the whole map, unless its revision is `known`. */
  snapshot(known: number): Promise<MapSnapshot<V>>
  /** Whether a key's value did not change, so that listeners hear of real changes only. */
  equal(a: V, b: V): boolean
  /** Whether a later snapshot with a lower revision is another life of the map; otherwise it is ignored. */
  readonly mayGoBack?: boolean
}

export class ReplicatedMap<V> {
  readonly #source: MapSource<V>
  readonly #listeners = new Set<MapListener<V>>()
  #entries = new Map<string, V>()
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

  /** As it is now: it changes with the copy. */
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
  offer(revision: number, difference: MapDifference<V>): void {
    if (revision <= this.#revision) return
    if (revision !== this.#revision + 1) return this.announce(revision)
    const changes: Array<MapChange<V>> = []
    if (difference.cleared) {
      const kept = new Set(difference.changes.flatMap(([key, value]) => (value === undefined ? [] : [key])))
      for (const key of this.#entries.keys()) if (!kept.has(key)) this.#apply(key, undefined, changes)
    }
    for (const [key, value] of difference.changes) this.#apply(key, value, changes)
    this.#become(revision, changes)
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
    const known = this.#revision
    const { revision, entries } = await this.#source.snapshot(known)
    const wentBack = revision < known && this.#source.mayGoBack === true
    if (entries === undefined || (revision <= this.#revision && !wentBack)) return
    if (wentBack) this.#announced = revision
    const changes: Array<MapChange<V>> = []
    for (const key of this.#entries.keys()) if (!entries.has(key)) this.#apply(key, undefined, changes)
    for (const [key, value] of entries) this.#apply(key, value, changes)
    this.#become(revision, changes)
  }

  #apply(key: string, value: V | undefined, changes: Array<MapChange<V>>): void {
    const previous = this.#entries.get(key)
    if (value === undefined) {
      if (previous === undefined) return
      this.#entries.delete(key)
      changes.push({ type: "remove", key, previous })
    } else {
      this.#entries.set(key, value)
      if (previous === undefined || !this.#source.equal(previous, value)) changes.push({ type: "set", key, value, previous })
    }
  }

  #become(revision: number, changes: ReadonlyArray<MapChange<V>>): void {
    this.#revision = revision
    for (const listener of this.#listeners) listener(changes, revision)
  }
}
