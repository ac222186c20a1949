/** What the runtime writes into links of runs (engine/links.ts): whom the end of a run concerns, and how. */
import { StoreFault } from "../errors.ts"

/** A run that is to be reached. */
interface Target {
  readonly shard: number
  readonly to: string
  readonly run: string
}

export type Link =
  /** The outcome goes to a run whose call of this name waits for it. */
  | (Target & { readonly do: "tell"; readonly name: string })
  /** A child ends with its parent. */
  | (Target & { readonly do: "cancel" | "terminate" })

export const printLink = (link: Link): string => JSON.stringify(link)

export const parseLink = (text: string): Link => {
  let link: Link | undefined
  try {
    link = JSON.parse(text) as Link
  } catch {
    // told below
  }
  if (link?.do !== "tell" && link?.do !== "cancel" && link?.do !== "terminate")
    throw new StoreFault(`expected a link that tells, cancels or terminates, got: ${text.slice(0, 80)}. Was it written by a newer Ponos?`)
  return link
}
