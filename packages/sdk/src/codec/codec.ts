/**
 * Payload codecs: what the store keeps of inputs, states, messages, journals, results and activity inputs goes through them, so that it can be
 * compressed, or never seen there as plain text. Keys, kinds, names of signals and activities, and times stay as they are: the store needs them.
 *
 * An encoded text begins with `~` and the codec's name, which no JSON does: texts of before the codec was set, of other keys and of other
 * codecs of the chain are told apart, so that codecs can be added and keys be changed while runs live.
 */
import { BadOption, PayloadUnreadable } from "../errors.ts"

export interface Codec {
  /** Short and stable: it is stored with each text that it encoded. Letters and digits. */
  readonly name: string
  /** Gives the text as it is stored, or `undefined` to leave it as it is. `place` says whose it is: a text must not be read at another place. */
  encode(text: string, place: string): string | undefined
  /** Gives back what `encode` got; throws when it cannot. */
  decode(text: string, place: string): string
}

const mark = "~"
export const isEncoded = (text: string): boolean => text.startsWith(mark)

/** Applied in this order when something is written; what was written tells by which ones it must be read. */
export class CodecChain {
  readonly #codecs: ReadonlyArray<Codec>
  readonly #byName: ReadonlyMap<string, Codec>

  constructor(codecs: ReadonlyArray<Codec>) {
    if (!Array.isArray(codecs))
      throw new BadOption(`expected codecs to be a list, such as [compress(), encrypt({ … })], got: ${typeof codecs}`)
    for (const codec of codecs)
      if (typeof codec?.encode !== "function" || typeof codec.decode !== "function" || !/^[a-z0-9]{1,16}$/.test(codec.name))
        throw new BadOption(
          `expected each codec to have encode, decode and a name of 1 to 16 letters and digits, got: ${JSON.stringify(codec)}`,
        )
    this.#codecs = codecs
    this.#byName = new Map(codecs.map((codec) => [codec.name, codec]))
    if (this.#byName.size < codecs.length) throw new BadOption("expected the codecs of a chain to have different names")
  }

  encode(text: string, place: string): string {
    let encoded = text
    for (const codec of this.#codecs) {
      const next = codec.encode(encoded, place)
      if (next !== undefined) encoded = `${mark}${codec.name}:${next}`
    }
    return encoded
  }

  decode(text: string, place: string): string {
    let decoded = text
    while (isEncoded(decoded)) {
      const end = decoded.indexOf(":")
      const name = decoded.slice(mark.length, end)
      const codec = this.#byName.get(name)
      if (codec === undefined)
        throw new PayloadUnreadable(
          `expected a codec ${JSON.stringify(name)} for what the store has of ${place}, got: ${[...this.#byName.keys()].join(", ") || "none"}. ` +
            "Give this process the codecs of those that wrote it (option codecs).",
          { codec: name, place },
        )
      try {
        decoded = codec.decode(decoded.slice(end + 1), place)
      } catch (error) {
        if (PayloadUnreadable.is(error)) throw error
        throw new PayloadUnreadable(
          `the codec ${name} cannot read what the store has of ${place}: ${error instanceof Error ? error.message : String(error)}`,
          { codec: name, place },
          error,
        )
      }
    }
    return decoded
  }
}
