/** The figures of a bench on one store, as they are found. */
import type { Figure } from "./figure.ts"

export interface Kind {
  readonly label: string
  readonly unit: string
  /** Where it is not "less". */
  readonly better?: "more"
  /** At most. */
  readonly goal?: number
  /** Of the ratio to the peer: at least. */
  readonly goalRatio?: number
  readonly worst?: boolean
}

export class Found<Name extends string> {
  readonly #kinds: Readonly<Record<Name, Kind>>
  readonly #own = new Map<Name, Array<number>>()
  readonly #peer = new Map<Name, Array<number>>()

  constructor(kinds: Readonly<Record<Name, Kind>>) {
    this.#kinds = kinds
  }

  add(name: Name, value: number): number {
    this.#own.set(name, [...(this.#own.get(name) ?? []), value])
    return value
  }

  addPeer(name: Name, value: number): number {
    this.#peer.set(name, [...(this.#peer.get(name) ?? []), value])
    return value
  }

  /** In the order of the kinds. */
  get figures(): ReadonlyArray<Figure> {
    const found: Array<Figure> = []
    for (const name in this.#kinds) {
      const own = this.#own.get(name)
      if (own !== undefined) found.push({ name, better: "less", own, peer: this.#peer.get(name) ?? [], ...this.#kinds[name] })
    }
    return found
  }
}
