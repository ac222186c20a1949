/**
 * `commit`, the verb of each step and each end: groups go to the store as they are, without a list of their items in between, and are answered by
 * one text (commit.lua). Its cost a run is what a worker and the store can do a second.
 */
import { StoreFault } from "../../errors.ts"
import type { CommitGroup, CommitItem, CommitReply } from "../engine.ts"
import { maxBytes, maxItems, type Store } from "./batch.ts"
import { onText, phaseOf } from "./record.ts"
import { scripts } from "./scripts.ts"
import { ownHeader } from "./worker-verbs.ts"

/** Items of one group that travel in one call. */
interface Part {
  readonly group: CommitGroup
  /** Of the group, in the verb's argument. */
  readonly at: number
  readonly from: number
  readonly to: number
}

export async function commit(
  store: Store,
  pool: string,
  groups: ReadonlyArray<CommitGroup>,
): Promise<ReadonlyArray<ReadonlyArray<CommitReply>>> {
  const replies = groups.map((): Array<CommitReply> => [])
  const calls = cut(groups, store.servers.cluster)
  if (calls.length === 1) await send(store, pool, calls[0] as Array<Part>, replies)
  else await Promise.all(calls.map((parts) => send(store, pool, parts, replies)))
  return replies
}

/** B2. A group is checked before it is written, so a run's second write must come in a later part. */
function cut(groups: ReadonlyArray<CommitGroup>, alone: boolean): Array<Array<Part>> {
  const calls: Array<Array<Part>> = []
  let parts: Array<Part> = []
  let count = 0
  let bytes = 0
  const end = (): void => {
    if (parts.length > 0) calls.push(parts)
    parts = []
    count = 0
    bytes = 0
  }
  for (let at = 0; at < groups.length; at++) {
    const group = groups[at] as CommitGroup
    const { items } = group
    for (let from = 0; from < items.length;) {
      let to = from
      const names = items.length > 1 ? new Set<string>() : undefined
      while (to < items.length && names?.has((items[to] as CommitItem).address) !== true) {
        const size = sizeOf(items[to] as CommitItem)
        if (count >= maxItems || (count > 0 && bytes + size > maxBytes)) {
          if (to > from) break
          end()
        }
        names?.add((items[to] as CommitItem).address)
        count++
        bytes += size
        to++
      }
      parts.push({ group, at, from, to })
      if (alone || to < items.length) end()
      from = to
    }
  }
  end()
  return calls
}

async function send(store: Store, pool: string, parts: ReadonlyArray<Part>, replies: ReadonlyArray<Array<CommitReply>>): Promise<void> {
  const keys: Array<string> = []
  const args = [store.now()]
  for (let n = 0; n < parts.length; n++) {
    const { group, from, to } = parts[n] as Part
    const { items } = group
    keys.push(store.shardPrefix(pool, group.shard))
    const sizeAt = args.push("") - 1
    args.push(ownHeader(group), String(to - from))
    for (let m = from; m < to; m++) args.push((items[m] as CommitItem).address)
    for (let m = from; m < to; m++) encode(items[m] as CommitItem, args)
    args[sizeAt] = String(args.length - sizeAt - 1)
  }
  const text = String(await store.servers.run(scripts.commit, keys, args))
  const now = Number(text.slice(text.lastIndexOf("\n") + 1))
  let at = 0
  for (let n = 0; n < parts.length; n++) at = decode(text, at, parts[n] as Part, now, replies) + 1
}

const stale = 46
const failed = 33

/** Gives the end of the line that begins at `from`. */
function decode(
  text: string,
  from: number,
  { group, at, from: first, to }: Part,
  now: number,
  replies: ReadonlyArray<Array<CommitReply>>,
): number {
  const found = replies[at] as Array<CommitReply>
  const mark = text.charCodeAt(from)
  if (mark === stale || mark === failed) {
    // B1: a group that failed half way
    const reply: CommitReply = {
      status: mark === stale ? "stale" : "poisoned",
      phase: "active",
      lastMessage: 0,
      now: mark === stale ? 0 : now,
    }
    for (let m = first; m < to; m++) found[m] = reply
    return text.indexOf("\n", from)
  }
  let read = from
  for (let m = first; m < to; m++) {
    const code = text.charAt(read++)
    let lastMessage = 0
    for (let digit = text.charCodeAt(read) - 48; digit >= 0 && digit <= 9; digit = text.charCodeAt(++read) - 48)
      lastMessage = lastMessage * 10 + digit
    if (code === "c") found[m] = { status: "conflict", phase: "active", lastMessage: 0, now }
    else if (code === "u") found[m] = { status: "unseen", phase: "active", lastMessage, now }
    else found[m] = { status: "ok", phase: phaseOf(code), lastMessage, now }
  }
  if (text.charCodeAt(read) !== 10)
    throw new StoreFault(`shard ${group.shard}, commit: unknown answer ${JSON.stringify(text.slice(from, from + 80))}`, {
      shard: group.shard,
    })
  return read
}

function sizeOf({ address, body, next, append, answers }: CommitItem): number {
  let size = 160 + address.length + (body?.length ?? 0) + (next.phase === "ended" ? next.outcome.length : 0)
  for (let n = 0; n < append.length; n++) size += (append[n] as string).length
  for (let n = 0; n < answers.length; n++) size += answers[n]?.answer.length ?? 0
  return size
}

/** The arguments of one run, as the header of commit.lua lists them: each costs the worker and the store a tenth of a microsecond or two. */
function encode(item: CommitItem, out: Array<string>): void {
  const { next, body, append } = item
  out.push(`${item.run}\t${item.revision}`)
  if (next.phase === "active" && body === undefined && item.journal === "keep") return encodeAppend(item, out)
  const clears = item.journal === "clear"
  const numbered = item.consumed > 0 || item.seen > 0 || (next.phase === "ended" && next.ifUnseen !== "refuse")
  const long = next.phase === "ended" && !isAscii(next.outcome)
  out.push(
    (next.phase[0] ?? "") +
      (numbered ? "n" : "-") +
      (body === undefined ? "-" : "b") +
      (clears ? "c" : append.length > 0 ? "k" : "-") +
      (item.answers.length > 0 ? "w" : "-") +
      (long ? "l" : "-"),
    `${item.run}\t${item.newRevision}`,
  )
  if (next.phase === "ended") out.push(next.outcome, String(next.retention))
  else if (next.phase === "parked") out.push(dueText(next.due), onText(next.on))
  if (numbered) out.push(String(item.consumed), next.phase === "ended" && next.ifUnseen !== "refuse" ? "" : String(item.seen))
  if (body !== undefined) out.push(body)
  if (append.length > 0 && !clears) encodeEntries(item, out)
  if (item.answers.length > 0) encodeAnswers(item, out)
  if (long) out.push(String(next.outcome.length))
}

function encodeAppend(item: CommitItem, out: Array<string>): void {
  const { append } = item
  if (append.length === 1 && item.answers.length === 0) {
    out.push(`+${item.journalLength}`, append[0] as string)
    return
  }
  out.push("*")
  encodeEntries(item, out)
  encodeAnswers(item, out)
}

function encodeEntries({ journalLength, append }: CommitItem, out: Array<string>): void {
  out.push(String(journalLength), String(append.length))
  for (let n = 0; n < append.length; n++) out.push(append[n] as string)
}

function encodeAnswers({ answers }: CommitItem, out: Array<string>): void {
  out.push(String(answers.length))
  for (const { id, answer } of answers) out.push(id, answer)
}

// oxlint-disable-next-line no-control-regex -- that is what ASCII begins with
const isAscii = (text: string): boolean => /^[\x00-\x7f]*$/.test(text)

const dueText = (due: { readonly after: number } | { readonly at: number } | undefined): string =>
  due === undefined ? "" : "after" in due ? `+${due.after}` : String(due.at)
