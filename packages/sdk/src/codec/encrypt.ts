import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { BadOption, PayloadUnreadable } from "../errors.ts"
import { refuseUnknown } from "../options.ts"
import type { Codec } from "./codec.ts"

export interface EncryptOptions {
  /** 32 bytes each, by an id that is stored with what they encrypted: letters, digits, `-` and `_`. */
  readonly keys: Readonly<Record<string, Uint8Array>>
  /** Id of the key for what is written from now on. To change keys, give all processes the new one first, then make it current, then write on. */
  readonly current: string
}

const ivBytes = 12
const tagBytes = 16

/**
 * AES-256-GCM with a random nonce. A text is bound to its place (pool, kind and key): one that was copied to another run is not read there. All
 * keys that are given read; only `current` writes.
 */
export const encrypt = (options: EncryptOptions): Codec => {
  refuseUnknown(options, ["keys", "current"], "encrypt")
  const keys = new Map(Object.entries(options.keys ?? {}))
  for (const [id, key] of keys) {
    if (!/^[\w-]{1,32}$/.test(id))
      throw new BadOption(`expected the id of a key to be 1 to 32 letters, digits, - and _, got: ${JSON.stringify(id)}`)
    if (!(key instanceof Uint8Array) || key.length !== 32)
      throw new BadOption(
        `expected the key ${id} to be 32 bytes (a Uint8Array), got: ${key instanceof Uint8Array ? `${key.length} bytes` : typeof key}`,
      )
  }
  const { current } = options
  const writing = keys.get(current)
  if (writing === undefined)
    throw new BadOption(
      `expected current to be the id of one of the keys (${[...keys.keys()].join(", ") || "there is none"}), got: ${JSON.stringify(current)}`,
    )
  return {
    name: "gcm",
    encode(text, place) {
      const iv = randomBytes(ivBytes)
      const cipher = createCipheriv("aes-256-gcm", writing, iv)
      cipher.setAAD(Buffer.from(place))
      const body = Buffer.concat([iv, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()])
      return `${current}:${body.toString("base64")}`
    },
    decode(text, place) {
      const end = text.indexOf(":")
      const id = text.slice(0, end)
      const key = keys.get(id)
      if (key === undefined)
        throw new PayloadUnreadable(
          `expected the key ${JSON.stringify(id)} to read what the store has of ${place}, got: ${[...keys.keys()].join(", ")}. Give this process that key.`,
          { key: id, place },
        )
      const bytes = Buffer.from(text.slice(end + 1), "base64")
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, ivBytes))
      decipher.setAAD(Buffer.from(place))
      decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes))
      return decipher.update(bytes.subarray(ivBytes, bytes.length - tagBytes), undefined, "utf8") + decipher.final("utf8")
    },
  }
}
