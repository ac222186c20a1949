/** Where a reader or a new sink begins. */
import type { Engine } from "../engine/engine.ts"
import { positionOf } from "../engine/event-streams.ts"
import { BadOption } from "../errors.ts"

/** `at`: with the first event that the store accepted then or later. */
export type StreamStart = "oldest" | "newest" | { readonly after: string } | { readonly at: Date }

const isPosition = (text: unknown): text is string => typeof text === "string" && /^\d{1,16}-\d{1,16}$/.test(text)

/** The position before the beginning; undefined is the newest event, which only the store knows. */
const fixedPosition = (start: StreamStart): string | undefined => {
  if (start === "oldest") return ""
  if (start === "newest") return undefined
  if (typeof start === "object" && start !== null) {
    if ("after" in start && isPosition(start.after)) return start.after
    if ("at" in start && start.at instanceof Date && !Number.isNaN(start.at.getTime()))
      return positionOf(Math.max(0, start.at.getTime()), 0)
  }
  throw new BadOption(`expected start to be "oldest", "newest", { after: event.id } or { at: Date }, got: ${JSON.stringify(start)}`, {
    start,
  })
}

/** One position for each stream. */
export const startPositions = async (
  engine: Engine,
  pool: string,
  streams: ReadonlyArray<string>,
  start: StreamStart,
): Promise<ReadonlyArray<string>> => {
  const fixed = fixedPosition(start)
  return fixed === undefined ? await engine.lastPositions(pool, streams) : streams.map(() => fixed)
}

export const checkStart = (start: StreamStart): StreamStart => {
  fixedPosition(start)
  return start
}
