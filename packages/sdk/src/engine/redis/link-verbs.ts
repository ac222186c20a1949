/** Verbs of links and of the outbox (links.ts). */
import type { ForbidItem, ForwardGroup, ForwardReply, LinkItem, LinkReply, OutboxEntry } from "../links.ts"
import { batched, type Store } from "./batch.ts"
import { headerText, parseRecord } from "./record.ts"
import { scripts } from "./scripts.ts"

export const link = (store: Store, pool: string, items: ReadonlyArray<LinkItem>) =>
  batched<LinkItem, LinkReply>(store, pool, items, {
    script: scripts.link,
    shard: (item) => item.shard,
    size: (item) => (item.drop ?? []).reduce((size, text) => size + text.length, item.address.length + item.link.length),
    encode: (group, out) => {
      for (const { address, run = "", link: text, limit, outboxLimit, drop = [] } of group)
        out.push(address, run, text, String(limit), String(outboxLimit), String(drop.length), ...drop)
    },
    decode: (reply, group) =>
      group.map(({ address }, n) => {
        const detail = reply[3 * n + 2]
        return {
          status: reply[3 * n] as LinkReply["status"],
          run: String(reply[3 * n + 1]),
          outcome: typeof detail === "string" ? parseRecord(address, detail, false).outcome : undefined,
          links: Array.isArray(detail) ? (detail as string[]) : [],
        }
      }),
  })

export const forbid = (store: Store, pool: string, items: ReadonlyArray<ForbidItem>) =>
  batched<ForbidItem, "forbidden" | "known">(store, pool, items, {
    script: scripts.forbid,
    shard: (item) => item.shard,
    encode: (group, out) => {
      for (const { run, retention } of group) out.push(run, String(retention))
    },
    decode: (reply) => reply as ReadonlyArray<"forbidden" | "known">,
  })

const entryText = ({ address, run, link: text }: Pick<OutboxEntry, "address" | "run" | "link">): string => `${address}\t${run}\t${text}`

export const forward = (store: Store, pool: string, groups: ReadonlyArray<ForwardGroup>) =>
  batched<ForwardGroup, ForwardReply>(store, pool, groups, {
    script: scripts.forward,
    shard: (group) => group.shard,
    joins: () => false,
    size: (group) => group.sent.reduce((size, entry) => size + entryText(entry).length, 0),
    encode: ([group], out) => {
      if (group) out.push(headerText(group.session, group.epoch), String(group.limit), ...group.sent.map(entryText))
    },
    decode: (reply) => {
      const entries: OutboxEntry[] = []
      for (let n = 0; n < reply.length; n += 2) {
        const [address = "", run = "", text = ""] = String(reply[n]).split("\t")
        entries.push({ address, run, link: text, outcome: String(reply[n + 1]) })
      }
      return [{ status: "forwarded", entries }]
    },
    refused: (reply) => (reply === "stale" ? [{ status: "stale" }] : undefined),
  })
