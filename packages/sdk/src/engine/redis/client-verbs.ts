/** Verbs of clients and controllers: no fence of a shard, but request ids, run ids and the controller's fence (K2). */
import type { MessageItem, MessageReply, ShardDigest, StartItem, StartReply, TerminateItem, TerminateReply } from "../engine.ts"
import { batched, type Store } from "./batch.ts"
import { controlText, delayedRecord, kindLetter, readyRecord } from "./record.ts"
import { scripts } from "./scripts.ts"

/** What a record and its protocol cost beside the texts. */
const overhead = 64

const startStatus: Readonly<Record<string, StartReply["status"]>> = {
  s: "started",
  r: "running",
  e: "ended",
  f: "fenced",
  n: "forbidden",
}

export const start = (store: Store, pool: string, items: ReadonlyArray<StartItem>) =>
  batched<StartItem, StartReply>(store, pool, items, {
    script: scripts.start,
    shard: (item) => item.shard,
    size: (item) => item.address.length + item.body.length + (item.signal?.payload.length ?? 0) + overhead,
    encode: (group, out) => {
      for (const item of group) encodeStart(item, out)
    },
    usual: started,
    decode: (reply, group) =>
      group.map((item, n) => {
        const answer = reply[n]
        if (Array.isArray(answer)) return { ...decodeStart(item, answer[0]), signal: (answer[1] || undefined) as StartReply["signal"] }
        return decodeStart(item, answer)
      }),
  })

const started = ({ run }: StartItem): StartReply => ({ status: "started", run })

function decodeStart(item: StartItem, code: unknown): StartReply {
  if (typeof code !== "string") return started(item)
  const status = startStatus[code[0] ?? ""] ?? "running"
  return { status, run: status === "started" || status === "forbidden" ? item.run : code.slice(1) }
}

function encodeStart(item: StartItem, out: string[]): void {
  const control = item.control ? controlText(item.control) : ""
  const delayed = item.after !== undefined && item.after > 0
  const mode =
    (delayed ? "d" : "") +
    (item.control ? "c" : "") +
    (item.remember === undefined ? "" : "q") +
    (item.signal ? "m" : "") +
    (item.ifEnded === "reject" ? "x" : "")
  if (!delayed) {
    out.push(item.address, mode + readyRecord(item.run, control, item.body))
  } else {
    const [head, tail] = delayedRecord(item.run, control, item.body)
    out.push(item.address, mode + head, String(item.after), tail)
  }
  if (item.control) out.push(item.control.controller, item.control.fence, control)
  if (item.remember !== undefined) out.push(String(item.remember))
  if (item.signal) {
    const { name, id, payload, inboxLimit, retention, ifRunning } = item.signal
    out.push(name, id, payload, String(inboxLimit), String(retention), ifRunning === "send" ? "1" : "")
  }
}

export const message = (store: Store, pool: string, items: ReadonlyArray<MessageItem>) =>
  batched<MessageItem, MessageReply>(store, pool, items, {
    script: scripts.message,
    shard: (item) => item.shard,
    size: (item) => item.address.length + item.payload.length + overhead,
    encode: (group, out) => {
      for (const item of group) {
        const mode = (item.control ? "c" : "") + (item.expectSpec === undefined ? "" : "s")
        out.push(item.address, item.run ?? "", kindLetter(item.kind), item.name, item.id, item.payload)
        out.push(String(item.inboxLimit), String(item.retention), mode)
        if (item.control) out.push(item.control.controller, item.control.fence, controlText(item.control))
        if (item.expectSpec !== undefined) out.push(item.expectSpec)
      }
    },
    decode: (reply, group) =>
      group.map((_, n) => ({
        status: reply[4 * n] as MessageReply["status"],
        run: String(reply[4 * n + 1]),
        number: Number(reply[4 * n + 2]),
        answer: (reply[4 * n + 3] ?? undefined) as string | undefined,
      })),
  })

export const terminate = (store: Store, pool: string, items: ReadonlyArray<TerminateItem>) =>
  batched<TerminateItem, TerminateReply>(store, pool, items, {
    script: scripts.terminate,
    shard: (item) => item.shard,
    size: (item) => item.address.length + item.outcome.length + overhead,
    encode: (group, out) => {
      for (const item of group) {
        const mode = (item.control ? "c" : "") + (item.expectSpec === undefined ? "" : "s")
        out.push(item.address, item.run ?? "", item.newRevision, String(item.outcome.length), item.outcome, String(item.retention), mode)
        if (item.control) out.push(item.control.controller, item.control.fence)
        if (item.expectSpec !== undefined) out.push(item.expectSpec)
      }
    },
    decode: (reply, group) => group.map((_, n) => ({ status: reply[2 * n] as TerminateReply["status"], run: String(reply[2 * n + 1]) })),
  })

export const digests = (store: Store, pool: string, controller: string, shards: ReadonlyArray<number>, fence: string | undefined) =>
  batched<number, ShardDigest>(store, pool, shards, {
    script: scripts.digests,
    shard: (shard) => shard,
    joins: () => false,
    encode: (_, out) => out.push(controller, fence ?? ""),
    decode: (reply, group) => {
      const [seen, count, first, second] = reply as ReadonlyArray<string | null>
      return [{ shard: group[0] ?? 0, fence: seen ?? "", count: Number(count ?? 0), sums: [first ?? "0", second ?? "0"] }]
    },
  })
