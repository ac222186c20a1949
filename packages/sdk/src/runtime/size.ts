/** Limits are in bytes of UTF-8. */
import { PayloadTooLarge } from "../errors.ts"

/** Gives the text back, or refuses it. A UTF-16 unit is at most 3 bytes: only what may be too large is counted. */
export const checkBytes = (text: string, limit: number, what: string): string => {
  if (text.length * 3 <= limit) return text
  const bytes = Buffer.byteLength(text)
  if (bytes <= limit) return text
  throw new PayloadTooLarge(
    `expected ${what} to have at most ${limit} bytes, got ${bytes}. Store large data elsewhere, and send or keep a reference.`,
    { limit, bytes },
  )
}
