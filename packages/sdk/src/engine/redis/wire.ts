/**
 * A script call as RESP. ioredis counts the bytes of each argument by itself, which is a third of what a worker's call costs; nearly all calls are
 * ASCII, whose texts are as long as their bytes, and one look at the whole tells (measured for commits of 100 runs, a run: 0.75 µs → 0.25 µs).
 */
import { Command } from "ioredis"

const heads = Array.from({ length: 1_000 }, (_, length) => `\r\n$${length}\r\n`)
const headOf = (length: number): string => (length < heads.length ? (heads[length] as string) : `\r\n$${length}\r\n`)

/** The command's texts one after the other. `bytes`: of the text. */
const join = (texts: ReadonlyArray<ReadonlyArray<string>>, bytes: (text: string) => number): string => {
  let count = 0
  for (const list of texts) count += list.length
  let call = `*${count}`
  for (const list of texts) {
    for (let n = 0; n < list.length; n++) {
      const text = list[n] as string
      call += headOf(bytes(text))
      call += text
    }
  }
  return `${call}\r\n`
}

export const encodeCall = (...texts: ReadonlyArray<ReadonlyArray<string>>): Buffer => {
  const call = join(texts, (text) => text.length)
  return Buffer.byteLength(call) === call.length ? Buffer.from(call, "latin1") : Buffer.from(join(texts, (text) => Buffer.byteLength(text)))
}

/** EVALSHA, whose keys and arguments are already bytes. */
export class ScriptCall extends Command {
  readonly #bytes: Buffer

  constructor(sha1: string, keys: ReadonlyArray<string>, args: ReadonlyArray<string>) {
    super("evalsha", [sha1], { replyEncoding: "utf8" })
    this.#bytes = encodeCall(["evalsha", sha1, String(keys.length)], keys, args)
  }

  override toWritable(): Buffer {
    return this.#bytes
  }
}
