/**
 * Texts in the store. A record is `phase run revision consumed due on control body`, its fields separated by tabs and the items of a field
 * by the unit separator; E5 keeps both out of everything but the body, which is last and opaque. An ended run has its outcome before the
 * body and the outcome's length (UTF-16 units, as the writer counted it) in `due`, so that neither needs escaping.
 *
 * `phase` is r (live, not parked), p or e. Active is who is in the shard's set `w`, so that a take need not rewrite records. Behind the r is
 * the store's time at which the run became ready, if it did so with this record.
 */
import { StoreFault } from "../../errors.ts"
import type { Address, Control, LoadedRun, Message, MessageKind, Phase, RunRecord, ShardHeader } from "../engine.ts"

const tab = "\t"
const unit = "\x1f"
/** Keeps `r` out of the small encoding, in which HMGET takes 5-8 µs a job instead of 1.6. */
export const padding = ".".repeat(64)

export const headerText = (session: string, epoch: number): string => `${session}${tab}${epoch}${tab}${padding}`

export function parseHeader(shard: number, text: unknown): ShardHeader {
  if (typeof text !== "string" || text === "") return { shard, session: "", epoch: 0 }
  const [session = "", epoch = "0"] = text.split(tab, 2)
  return { shard, session, epoch: Number(epoch) }
}

export const controlText = (control: Control): string => [control.controller, control.spec, ...control.sums].join(unit)

function parseControl(text: string): RunRecord["control"] {
  if (text === "") return undefined
  const [controller = "", spec = ""] = text.split(unit, 2)
  return { controller, spec }
}

/** Framed by separators, so that a script finds a name with one plain search. */
export const onText = (names: ReadonlyArray<string>): string => (names.length === 0 ? "" : `${unit}${names.join(unit)}${unit}`)
const parseOn = (text: string): ReadonlyArray<string> => (text === "" ? [] : text.slice(1, -1).split(unit))

/** Record of a new run that is ready at once; the store puts phase and time before it. */
export const readyRecord = (run: string, control: string, body: string): string => `\t${run}\t0\t0\t\t\t${control}\t${body}`
/** Record of a new run with a delay; the store puts its phase before it, and the due time between the two. */
export const delayedRecord = (run: string, control: string, body: string): readonly [string, string] => [
  `\t${run}\t0\t0\t`,
  `\t\t${control}\t${body}`,
]

const phases: Readonly<Record<string, Phase>> = { r: "ready", a: "active", p: "parked", e: "ended" }
export const phaseOf = (letter: string): Phase => phases[letter] ?? bad("a phase", letter)

/** Since when a run that is taken waited to be: its due time, where it was taken for that. */
function sinceOf(text: string, due: number | undefined): number | undefined {
  if (text.startsWith("p")) return due
  const since = text.slice(1, text.indexOf(tab))
  return since === "" ? undefined : Number(since)
}

/** Without a list of its fields, which each run that is taken would leave to the collector, with its iterator. */
export function parseRecord(address: Address, text: string, active: boolean): RunRecord {
  const run = fieldEnd(text, 0) + 1
  const revision = fieldEnd(text, run) + 1
  const consumed = fieldEnd(text, revision) + 1
  const due = fieldEnd(text, consumed) + 1
  const on = fieldEnd(text, due) + 1
  const control = fieldEnd(text, on) + 1
  const rest = fieldEnd(text, control) + 1
  const phase = active ? "active" : phaseOf(text.charAt(0))
  const ended = phase === "ended"
  const dueText = text.slice(due, on - 1)
  const bodyAt = ended ? rest + Number(dueText) : rest
  return {
    address,
    phase,
    run: text.slice(run, revision - 1),
    revision: text.slice(revision, consumed - 1),
    consumed: Number(text.slice(consumed, due - 1)),
    due: ended || dueText === "" ? undefined : Number(dueText),
    on: phase === "parked" ? parseOn(text.slice(on, control - 1)) : none,
    control: parseControl(text.slice(control, rest - 1)),
    body: text.slice(bodyAt),
    outcome: ended ? text.slice(rest, bodyAt) : undefined,
  }
}

const none: ReadonlyArray<never> = []

const fieldEnd = (text: string, from: number): number => {
  const end = text.indexOf(tab, from)
  return end < 0 ? bad("a record of eight fields", text) : end
}

const letters: Readonly<Record<MessageKind, string>> = { signal: "s", update: "u", cancel: "c", input: "i", result: "r" }
const kinds: Readonly<Record<string, MessageKind>> = { s: "signal", u: "update", c: "cancel", i: "input", r: "result" }
export const kindLetter = (kind: MessageKind): string => letters[kind]

export function parseMessage(number: number, text: string): Message {
  const kindEnd = text.indexOf(tab)
  const nameEnd = text.indexOf(tab, kindEnd + 1)
  const idEnd = text.indexOf(tab, nameEnd + 1)
  const atEnd = text.indexOf(tab, idEnd + 1)
  const kind = kinds[text.slice(0, kindEnd)]
  if (atEnd < 0 || !kind) return bad("a message of five fields", text)
  return {
    number,
    kind,
    name: text.slice(kindEnd + 1, nameEnd),
    id: text.slice(nameEnd + 1, idEnd),
    at: Number(text.slice(idEnd + 1, atEnd)),
    payload: text.slice(atEnd + 1),
  }
}

/** `lists` is [inbox, journal], or "" when both are empty. `taken`: just now, so that it tells since when it waited. */
export function parseLoaded(address: Address, text: string, active: boolean, lists: unknown, taken = false): LoadedRun {
  const record = parseRecord(address, text, active)
  const since = taken ? sinceOf(text, record.due) : undefined
  if (!Array.isArray(lists)) return Object.assign(record, { inbox: none, journal: none, since })
  const [inbox, journal] = lists as [ReadonlyArray<string>, ReadonlyArray<string>]
  return { ...record, since, inbox: inbox.map((message, n) => parseMessage(record.consumed + n + 1, message)), journal }
}

function bad(what: string, got: string): never {
  throw new StoreFault(`expected ${what}, got: ${JSON.stringify(got.slice(0, 80))}. Does something else write under this key prefix?`)
}
