/** From what the store has of a run to what people look at and tests replay, and back. */
import type { LoadedRun } from "../engine/engine.ts"
import { BadInput } from "../errors.ts"
import { addressOf } from "../key.ts"
import { parseBody } from "../runtime/body.ts"
import { parseJournal } from "../runtime/journal.ts"
import type { History } from "./options.ts"

export const toHistory = (kind: string, key: string, run: LoadedRun): History => {
  const body = parseBody(run.body)
  const journal = parseJournal(run.address, run.journal)
  const base = journal[0]?.b
  return {
    format: 1,
    kind,
    key,
    run: run.run,
    phase: run.phase,
    startedAt: base === undefined ? undefined : new Date(base),
    iteration: body.iteration ?? 1,
    attempt: (body.failures ?? 0) + 1,
    body,
    consumed: run.consumed,
    inbox: run.inbox.map(({ at, payload, ...message }) => ({ ...message, at: new Date(at), payload: JSON.parse(payload) as unknown })),
    journal,
  }
}

/** The run as it was loaded; also from a history that went through JSON. */
export const fromHistory = (history: History): LoadedRun => {
  if (history?.format !== 1 || typeof history.kind !== "string" || !Array.isArray(history.journal) || !Array.isArray(history.inbox))
    throw new BadInput(`expected a history of format 1, as handle.history() gives it, got: ${JSON.stringify(history)?.slice(0, 60)}`)
  return {
    address: addressOf(history.kind, history.key),
    phase: history.phase,
    run: history.run,
    revision: "",
    consumed: history.consumed,
    due: undefined,
    on: [],
    control: undefined,
    body: JSON.stringify(history.body),
    outcome: undefined,
    inbox: history.inbox.map(({ at, payload, ...message }) => ({
      ...message,
      at: new Date(at).getTime(),
      payload: JSON.stringify(payload),
    })),
    journal: history.journal.map((entry) => JSON.stringify(entry)),
  }
}
