/** Replicated maps: one script call for the writes of one map (B2), all calls of a verb in one turn. */
import type { MapNotice, MapOperation, MapState, MapWrite, MapWriteReply } from "../maps.ts"
import { maxBytes, maxItems } from "./batch.ts"
import type { PoolStore } from "./pool-verbs.ts"
import { scripts } from "./scripts.ts"

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

export async function readMaps(
  { link, keys, now }: PoolStore,
  items: ReadonlyArray<{ readonly map: string; readonly known?: number }>,
): Promise<ReadonlyArray<MapState>> {
  return await Promise.all(
    items.map(async ({ map, known }) => {
      const reply = (await link.run(scripts.read_map, [keys.map(map)], [now, known === undefined ? "" : String(known)])) as string[]
      const revision = Number(reply[0])
      if (reply.length === 1) return { revision, entries: undefined }
      const entries = new Map<string, string>()
      for (let n = 2; n < reply.length; n += 2) entries.set(reply[n] ?? "", reply[n + 1] ?? "")
      return { revision, entries }
    }),
  )
}

const flagged = (value: string | undefined): [string, string] => (value === undefined ? ["0", ""] : ["1", value])

function encode(operation: MapOperation): string[] {
  switch (operation.type) {
    case "set":
      return ["s", operation.key, operation.value]
    case "swap":
      return ["c", operation.key, ...flagged(operation.expect), ...flagged(operation.value)]
    case "append":
    case "remove": {
      const letter = operation.type === "remove" ? "r" : operation.unique ? "u" : "a"
      return [letter, operation.key, String(operation.items.length), ...operation.items.map((item) => JSON.stringify(item))]
    }
    case "increment":
      return ["i", operation.key, String(operation.by)]
    case "delete":
      return ["d", operation.key]
    case "reset":
      return ["x", ""]
  }
}

/** What the operation left under its key. */
function valueAfter(operation: MapOperation, answered: unknown): string | undefined {
  if (operation.type === "set" || operation.type === "swap") return operation.value
  return text(answered)
}

function decode(write: MapWrite, reply: ReadonlyArray<unknown>): MapWriteReply {
  const revision = Number(reply[1])
  if (reply[0] === "ok" || reply[0] === "same") {
    const values = write.operations.map((each, n) => valueAfter(each, reply[n + 2]))
    return { status: "ok", revision, changed: reply[0] === "ok", values }
  }
  if (reply[0] === "full") return { status: "full", revision }
  return { status: reply[0] === "conflict" ? "conflict" : "mistyped", revision, at: Number(reply[2]), value: text(reply[3]) }
}

interface Call {
  readonly map: string
  readonly args: string[]
  readonly places: number[]
  bytes: number
}

export async function changeMaps({ link, keys, now }: PoolStore, items: ReadonlyArray<MapWrite>): Promise<ReadonlyArray<MapWriteReply>> {
  const calls: Call[] = []
  const open = new Map<string, Call>()
  items.forEach((write, place) => {
    const operations = write.operations.flatMap(encode)
    const bytes = operations.reduce((sum, part) => sum + part.length, 0)
    let call = open.get(write.map)
    if (call === undefined || call.places.length >= maxItems || call.bytes + bytes > maxBytes) {
      call = { map: write.map, args: [now], places: [], bytes: 0 }
      open.set(write.map, call)
      calls.push(call)
    }
    const head = [write.id, write.retention, write.keep, write.maxEntries, write.maxBytes].map(String)
    call.args.push(String(head.length + operations.length), ...head, ...operations)
    call.places.push(place)
    call.bytes += bytes
  })
  const replies: MapWriteReply[] = []
  await Promise.all(
    calls.map(async ({ map, args, places }) => {
      const answers = (await link.run(scripts.change_map, [keys.map(map)], args)) as ReadonlyArray<ReadonlyArray<unknown>>
      places.forEach((place, n) => (replies[place] = decode(items[place] as MapWrite, answers[n] ?? [])))
    }),
  )
  return replies
}

export async function destroyMaps({ link, keys, now }: PoolStore, maps: ReadonlyArray<string>): Promise<void> {
  await Promise.all(maps.map((map) => link.run(scripts.destroy_map, [keys.map(map)], [now])))
}

/** Empty after a destroy; anything else that is no list tells of a gap (bus.ts). */
export function parseNotice(notice: string): MapNotice {
  if (!notice.startsWith("[")) return { type: "unsure" }
  const [revision, cleared, ...parts] = JSON.parse(notice) as [string, string, ...Array<string | false>]
  const changes: Array<readonly [string, string | undefined]> = []
  for (let n = 0; n < parts.length; n += 2) changes.push([String(parts[n]), text(parts[n + 1])])
  return { type: "changed", revision: Number(revision), cleared: cleared === "1", changes }
}
