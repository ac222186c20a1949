/** Updates and queries: synchronous handlers, without steps (api rule 6). */
import type { Message } from "../engine/engine.ts"
import { NotAllowed } from "../errors.ts"
import type { Answer, Body } from "./body.ts"
import { encodeError } from "./body.ts"
import { codecOf } from "./contract.ts"
import type { JobKind } from "./kind.ts"
import { checkBytes } from "./size.ts"
import type { StateHolder } from "./state-holder.ts"
import { loadState } from "./state.ts"

const refuseAsync = (value: unknown, what: string): void => {
  if (value instanceof Promise) {
    value.catch(() => undefined)
    throw new NotAllowed(`expected ${what} to be synchronous, got a promise. Do the work in run, woken by the message (job.again({ on })).`)
  }
}

/** Applies an update to the state; a failure leaves that as it was. */
export const applyUpdate = (
  kind: JobKind,
  holder: StateHolder,
  context: { key: string; run: string; input: unknown },
  message: Message,
  payloadBytes: number,
): Answer => {
  const { contract, handlers } = kind
  const schemas = contract.schemas.updates[message.name]
  const handler = handlers.updates?.[message.name]
  const what = `update ${message.name} of ${contract.kind}`
  if (schemas === undefined || handler === undefined)
    return {
      error: {
        tag: "HandlerMissing",
        message: `${what} has no handler in this worker's code: deploy code that has it, or correct the name`,
      },
    }
  try {
    const input = codecOf(schemas.in).decode(JSON.parse(message.payload), what)
    let ok: unknown
    const change = (state: unknown): unknown => {
      const job = { ...context, now: new Date(message.at), state }
      const value = handler(job, input)
      refuseAsync(value, what)
      ok = codecOf(schemas.out).encode(value, `the answer of ${what}`)
      checkBytes(JSON.stringify(ok), payloadBytes, `the answer of ${what}`)
      // checked here, so that a state that does not match its type is the update's failure and not the next iteration's
      if (kind.state !== undefined)
        checkBytes(JSON.stringify(kind.state.encode(job.state, `the state after ${what}`)), payloadBytes, `the state after ${what}`)
      return job.state
    }
    holder.update(change, (state) => copyOf(kind, state, contract.kind))
    return { ok }
  } catch (error) {
    return { error: encodeError(error, schemas.errors) }
  }
}

/** A running handler's view of its run, for `live` queries (J5). */
export interface Present {
  readonly state: unknown
  readonly iteration: number
}

/** A copy by way of its stored form: it cannot change what the handler has, and has what a committed state would have. */
const copyOf = ({ state: codec }: JobKind, state: unknown, what: string): unknown => {
  const name = `the present state of ${what}`
  return codec?.decode(codec.encode(state, name), name)
}

/** Answers a query from the last committed body, or, with `present`, from what the handler has made of it since. */
export const answerQuery = (
  kind: JobKind,
  run: { readonly key: string; readonly run: string; readonly body: Body; readonly present?: Present | undefined },
  name: string,
  input: unknown,
  now: number,
): Answer => {
  const { contract, handlers } = kind
  const schemas = contract.schemas.queries[name]
  const handler = handlers.queries?.[name]
  const what = `query ${name} of ${contract.kind}`
  if (schemas === undefined || handler === undefined)
    return {
      error: {
        tag: "HandlerMissing",
        message: `${what} has no handler in this worker's code: deploy code that has it, or correct the name`,
      },
    }
  try {
    const { body, present } = run
    const decoded = kind.input.decode(body.input, `the input of ${contract.kind}`)
    // before its first commit a run has the state that `init` gives
    const state = present === undefined ? loadState(kind, body, decoded, contract.kind) : copyOf(kind, present.state, contract.kind)
    const view = {
      key: run.key,
      run: run.run,
      input: decoded,
      state,
      iteration: present?.iteration ?? body.iteration ?? 1,
      live: present !== undefined,
      idleSeconds: body.at === undefined ? 0 : Math.max(0, (now - body.at) / 1_000),
    }
    const value = handler(view, codecOf(schemas.in).decode(input ?? null, what))
    refuseAsync(value, what)
    return { ok: codecOf(schemas.out).encode(value, `the answer of ${what}`) }
  } catch (error) {
    return { error: encodeError(error, schemas.errors) }
  }
}
