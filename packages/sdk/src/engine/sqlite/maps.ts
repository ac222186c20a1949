import type { MapOperation, MapState, MapWrite, MapWriteReply } from "../maps.ts"
import { revisionsPerMs } from "../maps.ts"
import { appended, itemsOf, listText, removed } from "../list-text.ts"
import type { Tx } from "./calls.ts"

interface MapRow {
  id: number
  revision: number
  entries: number
  bytes: number
  expiry: number
}

const findMap = "SELECT id, revision, entries, bytes, expiry FROM maps WHERE pool = ? AND name = ?"
const insertMap =
  "INSERT INTO maps (pool, name, revision, entries, bytes, expiry) VALUES (?, ?, 0, 0, 0, 0) RETURNING id, revision, entries, bytes, expiry"
const updateMap = "UPDATE maps SET revision = ?, entries = ?, bytes = ?, expiry = ? WHERE id = ?"
const deleteMap = "DELETE FROM maps WHERE id = ?"
const findEntry = "SELECT value FROM map_entries WHERE map = ? AND key = ?"
const allEntries = "SELECT key, value FROM map_entries WHERE map = ?"
const setEntry = "INSERT INTO map_entries (map, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
const deleteEntry = "DELETE FROM map_entries WHERE map = ? AND key = ?"
const clearEntries = "DELETE FROM map_entries WHERE map = ?"
const findRequest = "SELECT reply FROM map_requests WHERE map = ? AND request = ?"
const insertRequest = "INSERT INTO map_requests (map, request, expiry, reply) VALUES (?, ?, ?, ?)"
const forgetRequests =
  "DELETE FROM map_requests WHERE (map, request) IN (SELECT map, request FROM map_requests WHERE map = ? AND expiry <= ? LIMIT 100)"
const clearRequests = "DELETE FROM map_requests WHERE map = ?"

const isOver = (tx: Tx, row: MapRow): boolean => row.expiry > 0 && row.expiry <= tx.now

const remove = (tx: Tx, id: number): void => {
  tx.run(clearEntries, id)
  tx.run(clearRequests, id)
  tx.run(deleteMap, id)
}

export const readMap = (tx: Tx, map: string, known: number | undefined): MapState => {
  const row = tx.one<MapRow>(findMap, tx.poolId, map)
  const present = row !== undefined && !isOver(tx, row) ? row : undefined
  const revision = present?.revision ?? 0
  if (revision === known) return { revision, entries: undefined }
  const rows = present === undefined ? [] : tx.all<{ key: string; value: string }>(allEntries, present.id)
  return { revision, entries: new Map(rows.map(({ key, value }) => [key, value])) }
}

export const destroyMap = (tx: Tx, map: string): void => {
  const row = tx.one<MapRow>(findMap, tx.poolId, map)
  if (row === undefined) return
  remove(tx, row.id)
  tx.mapNotice(map, { type: "unsure" })
}

/** What a write would leave behind, before anything is written. */
class Stage {
  readonly staged = new Map<string, string | undefined>()
  cleared = false
  readonly #tx: Tx
  readonly #map: number

  constructor(tx: Tx, map: number) {
    this.#tx = tx
    this.#map = map
  }

  stored(key: string): string | undefined {
    return this.cleared ? undefined : this.#tx.one<{ value: string }>(findEntry, this.#map, key)?.value
  }

  get(key: string): string | undefined {
    return this.staged.has(key) ? this.staged.get(key) : this.stored(key)
  }

  clear(): void {
    this.staged.clear()
    this.cleared = true
  }
}

const json = (items: ReadonlyArray<string>): string[] => items.map((item) => JSON.stringify(item))

const listAfter = (before: string | undefined, change: (list: ReadonlyArray<string>) => ReadonlyArray<string>) => {
  const list = itemsOf(before)
  if (list === undefined) return "mistyped"
  const after = change(list)
  return { value: after.length === 0 ? undefined : listText(after) }
}

/** The value after one operation, or why there is none. */
const step = (
  before: string | undefined,
  operation: Exclude<MapOperation, { readonly type: "reset" }>,
): { readonly value: string | undefined } | "conflict" | "mistyped" => {
  switch (operation.type) {
    case "set":
      return { value: operation.value }
    case "delete":
      return { value: undefined }
    case "swap":
      return before === operation.expect ? { value: operation.value } : "conflict"
    case "append":
      return listAfter(before, (list) => appended(list, json(operation.items), operation.unique))
    case "remove":
      return listAfter(before, (list) => removed(list, json(operation.items)))
    case "increment": {
      const from = before === undefined ? 0 : /^-?\d+$/.test(before) ? Number(before) : Number.NaN
      const sum = from + operation.by
      return Number.isSafeInteger(from) && Number.isSafeInteger(sum) ? { value: String(sum) } : "mistyped"
    }
  }
}

const bytesOf = (key: string, value: string | undefined): number =>
  value === undefined ? 0 : Buffer.byteLength(key) + Buffer.byteLength(value)

export const changeMap = (tx: Tx, write: MapWrite): MapWriteReply => {
  let row = tx.one<MapRow>(findMap, tx.poolId, write.map)
  if (row !== undefined && isOver(tx, row)) {
    remove(tx, row.id)
    row = undefined
  }
  const id = row?.id ?? -1
  const revision = row?.revision ?? 0
  tx.run(forgetRequests, id, tx.now)
  const known = tx.one<{ reply: string }>(findRequest, id, write.id)
  if (known !== undefined) {
    const first = JSON.parse(known.reply) as { revision: number; values: Array<string | null> }
    return { status: "ok", revision: first.revision, changed: true, values: first.values.map((value) => value ?? undefined) }
  }
  const stage = new Stage(tx, id)
  const values: Array<string | undefined> = []
  for (const [at, operation] of write.operations.entries()) {
    if (operation.type === "reset") {
      stage.clear()
      values.push(undefined)
      continue
    }
    const value = stage.get(operation.key)
    const after = step(value, operation)
    if (after === "conflict" || after === "mistyped") return { status: after, revision, at, value }
    stage.staged.set(operation.key, after.value)
    values.push(after.value)
  }
  return store(tx, write, row, stage, values)
}

const store = (
  tx: Tx,
  write: MapWrite,
  row: MapRow | undefined,
  stage: Stage,
  values: ReadonlyArray<string | undefined>,
): MapWriteReply => {
  const entriesBefore = row?.entries ?? 0
  const bytesBefore = row?.bytes ?? 0
  let entries = stage.cleared ? 0 : entriesBefore
  let bytes = stage.cleared ? 0 : bytesBefore
  const changes: Array<readonly [string, string | undefined]> = []
  for (const [key, after] of stage.staged) {
    const before = stage.stored(key)
    if (before === after) continue
    changes.push([key, after])
    entries += Number(after !== undefined) - Number(before !== undefined)
    bytes += bytesOf(key, after) - bytesOf(key, before)
  }
  if (changes.length === 0 && !(stage.cleared && entriesBefore > 0))
    return { status: "ok", revision: row?.revision ?? 0, changed: false, values }
  if ((entries > entriesBefore && entries > write.maxEntries) || (bytes > bytesBefore && bytes > write.maxBytes))
    return { status: "full", revision: row?.revision ?? 0 }
  const { id, revision: from } = row ?? (tx.one<MapRow>(insertMap, tx.poolId, write.map) as MapRow)
  const revision = (from === 0 ? tx.now * revisionsPerMs : from) + 1
  if (stage.cleared) tx.run(clearEntries, id)
  for (const [key, value] of changes) {
    if (value === undefined) tx.run(deleteEntry, id, key)
    else tx.run(setEntry, id, key, value)
  }
  tx.run(updateMap, revision, entries, bytes, write.keep > 0 ? tx.after(write.keep) : 0, id)
  tx.run(insertRequest, id, write.id, tx.after(write.retention), JSON.stringify({ revision, values: values.map((value) => value ?? null) }))
  tx.mapNotice(write.map, { type: "changed", revision, cleared: stage.cleared, changes })
  return { status: "ok", revision, changed: true, values }
}
