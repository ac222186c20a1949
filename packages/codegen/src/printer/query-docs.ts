/** What is said of a query: its own words, and which state it sees, where that is not the committed one. */
import type { Query } from "../domain.ts"

export const queryDocs = ({ docs, live }: Query): string =>
  [docs, ...(live ? ["Live: sees what a running handler has made of the state, not yet committed."] : [])]
    .filter((line) => line !== "")
    .join("\n")
