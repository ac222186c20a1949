/** What worker and client agree on: numbers as 8 bytes, the highest first, as any language can write them. */
export const toBytes = (number: bigint): Uint8Array => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, number)
  return bytes
}

export const toNumber = (bytes: Uint8Array): bigint => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0)

/** fibonacci(93) is the highest that fits into 8 bytes. */
export const fibonacci = (n: bigint): bigint => {
  let [a, b] = [0n, 1n]
  for (let i = 0n; i < n; i++) [a, b] = [b, a + b]
  return a
}

/** A result: the number, then the name of the worker that found it. */
export interface Result {
  readonly number: bigint
  readonly worker: string
}

export const encodeResult = ({ number, worker }: Result): Uint8Array =>
  new Uint8Array([...toBytes(number), ...new TextEncoder().encode(worker)])

export const decodeResult = (bytes: Uint8Array): Result => ({
  number: toNumber(bytes.subarray(0, 8)),
  worker: new TextDecoder().decode(bytes.subarray(8)),
})
