/** A client: dispatches one job a key, with a number, and waits for the results. It needs no worker in its own process. */
import { Pool } from "@ponos/sdk/pool"
import { decodeResult, fibonacci, toBytes, type Result } from "./fibonacci.ts"

export interface Answer extends Result {
  readonly key: string
  readonly n: bigint
  readonly right: boolean
}

export const keyOf = (i: number): string => `key-${i}`

export const ask = async (count: number): Promise<ReadonlyArray<Answer>> => {
  const pool = await Pool.join("fibonacci")
  try {
    return await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const key = keyOf(i)
        const n = BigInt(i * 3)
        const { run } = await pool.dispatch(key, toBytes(n))
        const result = decodeResult(await pool.result(key, { run, timeoutMs: 10_000 }))
        return { key, n, ...result, right: result.number === fibonacci(n) }
      }),
    )
  } finally {
    await pool.close()
  }
}
