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

const donePrefix = "d"
/** Outcome of a job that `pool.stop` ended. */
export const stoppedOutcome = "s"

export const doneOutcome = (result: Uint8Array): string => donePrefix + toText(result)

/** Undefined: the job was stopped. */
export const resultOf = (outcome: string): Uint8Array | undefined =>
  outcome.startsWith(donePrefix) ? toBytes(outcome.slice(donePrefix.length)) : undefined
