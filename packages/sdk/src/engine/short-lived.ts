/**
 * A map and a set for entries that come and go by the thousand, as calls under way and runs in memory do.
 *
 * V8's own ones lead from each table that they outgrow to the next one, and keep in it what it had. Where such a table has become old, all that
 * follow, and all that were in them, become old as well, dead or not, until the whole heap is collected: measured on a worker of short jobs, nearly
 * everything that its runs had made, a third of its processor time. Here the table is a new one before it is outgrown many times. Entries keep their
 * order; one that is added while others are iterated over may be missed, one that is removed meanwhile may be met.
 */

/** Additions after which a new table is begun, or as many as there are entries: so each entry is copied once more at most, on average. */
const least = 16

export class ShortLivedMap<Key, Value> {
  #entries = new Map<Key, Value>()
  #left = least

  get size(): number {
    return this.#entries.size
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key)
  }

  set(key: Key, value: Value): void {
    if (this.#entries.size === 0) this.clear()
    else if (this.#left-- === 0) {
      this.#entries = new Map(this.#entries)
      this.#left = Math.max(least, this.#entries.size)
    }
    this.#entries.set(key, value)
  }

  delete(key: Key): boolean {
    return this.#entries.delete(key)
  }

  clear(): void {
    this.#entries = new Map()
    this.#left = least
  }

  values(): MapIterator<Value> {
    return this.#entries.values()
  }
}

export class ShortLivedSet<Item> {
  #items = new Set<Item>()
  #left = least

  /** Of this moment: it may be another one after an addition. */
  get items(): ReadonlySet<Item> {
    return this.#items
  }

  add(item: Item): void {
    if (this.#items.size === 0) this.clear()
    else if (this.#left-- === 0) {
      this.#items = new Set(this.#items)
      this.#left = Math.max(least, this.#items.size)
    }
    this.#items.add(item)
  }

  delete(item: Item): boolean {
    return this.#items.delete(item)
  }

  clear(): void {
    this.#items = new Set()
    this.#left = least
  }
}
