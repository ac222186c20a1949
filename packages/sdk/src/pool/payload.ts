/** Bytes of users as the store's text: base64 in bodies and messages, one letter before it in outcomes. */
import { BadInput, PayloadTooLarge } from "../errors.ts"

export const toText = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")

export const toBytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))

export const checkPayload = (payload: unknown, bytesMax: number, what: string): Uint8Array => {
  if (!(payload instanceof Uint8Array))
    throw new BadInput(`expected ${what} to be a Uint8Array, got: ${payload === null ? "null" : typeof payload}. Encode it first.`, {
      what,
    })
  if (payload.byteLength > bytesMax)
    throw new PayloadTooLarge(
      `expected ${what} to have at most ${bytesMax} bytes, got ${payload.byteLength}: store it elsewhere and pass its address`,
      { what, bytes: payload.byteLength, bytesMax },
    )
  return payload
}

/** A body that begins so names the channel on which its dispatcher waits for the start: `!<id> <payload>`. No base64 has it. */
const replyMark = "!"

export const bodyOf = (payload: Uint8Array, replyTo?: string): string =>
  replyTo === undefined ? toText(payload) : `${replyMark}${replyTo} ${toText(payload)}`

export const payloadOf = (body: string): Uint8Array => toBytes(body.startsWith(replyMark) ? body.slice(body.indexOf(" ") + 1) : body)

export const replyToOf = (body: string): string | undefined =>
  body.startsWith(replyMark) ? body.slice(replyMark.length, body.indexOf(" ")) : undefined

const donePrefix = "d"
const refusedPrefix = "r"
/** Outcome of a job that `pool.stop` ended. */
export const stoppedOutcome = "s"

export const doneOutcome = (result: Uint8Array): string => donePrefix + toText(result)

export const refusedOutcome = (reason: string): string => refusedPrefix + reason

/** Why it was refused; undefined when it was not. */
export const refusalOf = (outcome: string): string | undefined =>
  outcome.startsWith(refusedPrefix) ? outcome.slice(refusedPrefix.length) : undefined

/** Undefined: the job was stopped, or refused. */
export const resultOf = (outcome: string): Uint8Array | undefined =>
  outcome.startsWith(donePrefix) ? toBytes(outcome.slice(donePrefix.length)) : undefined
