/** The audit of a shard (../audit.ts): its entries as the scripts write them, fields separated by tabs. */
import { StoreFault } from "../../errors.ts"
import type { AuditEntry, AuditPage, RefusedVerb, WriteInterval } from "../audit.ts"
import { batched, maxItems, type Store } from "./batch.ts"
import { parseHeader } from "./record.ts"
import { scripts } from "./scripts.ts"

interface PageItem {
  readonly shard: number
  readonly after: number
  readonly limit: number
}

export const audit = (store: Store, pool: string, items: ReadonlyArray<PageItem>) =>
  batched<PageItem, AuditPage>(store, pool, items, {
    script: scripts.audit,
    shard: (item) => item.shard,
    joins: () => false,
    size: (item) => entryBytes * limitOf(item),
    encode: ([item], out) => {
      if (item) out.push(String(item.after), String(limitOf(item)))
    },
    decode: ([header, ...texts], [item]) => {
      const entries = (item ? texts.slice(0, limitOf(item)) : []).map((text) => parseEntry(String(text)))
      return [{ header: parseHeader(item?.shard ?? 0, header), entries, more: texts.length > entries.length }]
    },
  })

const limitOf = ({ limit }: PageItem): number => Math.min(limit, maxItems)
const entryBytes = 128

export const writesText = (writes: WriteInterval | undefined): string =>
  writes === undefined ? "" : `${writes.count}\t${writes.first}\t${writes.last}`

const letters = { c: 8, l: 6, x: 11 } as const

function parseEntry(text: string): AuditEntry {
  const fields = text.split("\t")
  const [number, letter = "", at, epoch, session = "", ...rest] = fields
  const length = Object.hasOwn(letters, letter) ? letters[letter as keyof typeof letters] : undefined
  if (length === undefined || fields.length < length)
    throw new StoreFault(
      `expected an entry of a shard's audit, got: ${JSON.stringify(text.slice(0, 80))}. Does something else write under this key prefix?`,
    )
  const common = { number: Number(number), at: Number(at), epoch: Number(epoch), session }
  const [first = "", second = "", third = "", fourth = "", fifth = "", sixth = ""] = rest
  switch (letter as keyof typeof letters) {
    case "c":
      return { type: "claim", ...common, from: { session: second, epoch: Number(first) }, known: Number(third) }
    case "l":
      return {
        type: "release",
        ...common,
        writes: first === "" ? undefined : { count: Number(first), first: Number(second), last: Number(third) },
      }
    case "x":
      return {
        type: "refused",
        ...common,
        verb: first as RefusedVerb,
        header: { session: third, epoch: Number(second) },
        count: Number(fourth),
        last: Number(fifth),
        others: Number(sixth),
      }
  }
}
