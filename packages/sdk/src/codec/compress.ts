import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib"
import { BadOption } from "../errors.ts"
import { refuseUnknown } from "../options.ts"
import type { Codec } from "./codec.ts"

export interface CompressOptions {
  /** Shorter texts stay as they are: they would not get shorter. Bytes; default 512. */
  readonly minBytes?: number
  /** 0 (fastest) to 11 (smallest); default 4. */
  readonly quality?: number
}

/** What a text may grow to when it is decompressed: a damaged or forged one must not fill the memory. */
const maxBytes = 64 * 1024 * 1024

/** Compresses with Brotli what gets shorter by it. Put it before `encrypt`: what is encrypted does not compress. */
export const compress = (options: CompressOptions = {}): Codec => {
  refuseUnknown(options, ["minBytes", "quality"], "compress")
  const { minBytes = 512, quality = 4 } = options
  if (!Number.isInteger(minBytes) || minBytes < 0)
    throw new BadOption(`expected minBytes to be an integer from 0 on, got: ${JSON.stringify(minBytes)}`)
  if (!Number.isInteger(quality) || quality < 0 || quality > 11)
    throw new BadOption(`expected quality to be an integer from 0 to 11, got: ${JSON.stringify(quality)}`)
  return {
    name: "br",
    encode(text) {
      if (text.length < minBytes) return undefined
      const bytes = brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: quality } })
      const encoded = bytes.toString("base64")
      return encoded.length < text.length ? encoded : undefined
    },
    decode: (text) => brotliDecompressSync(Buffer.from(text, "base64"), { maxOutputLength: maxBytes }).toString("utf8"),
  }
}
