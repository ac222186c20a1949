/** Streams of one test on a store, with as many "processes" as it wants; all are ended and nothing is left. */
import { afterEach } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import type { Engine } from "../../src/engine/engine.ts"
import { openStreams, type OpenStreamsOptions, type Streams } from "../../src/streams/index.ts"
import type { TestStore } from "../engine/world.ts"

export interface Processes {
  /** An engine and streams of its own, as a process has. `kill` ends its connection without a word to anybody. */
  readonly open: (
    options?: Partial<OpenStreamsOptions>,
  ) => Promise<{ readonly streams: Streams; readonly engine: Engine; readonly kill: () => Promise<void> }>
}

export function processes(store: () => TestStore): Processes {
  let pool = ""
  const opened: Array<{ readonly streams: Streams; readonly engine: Engine }> = []
  afterEach(async () => {
    for (const { streams, engine } of opened.splice(0)) {
      await streams.close()
      await engine.close()
    }
    if (pool !== "") await store().remove(pool)
    pool = ""
  })
  return {
    open: async (options = {}) => {
      pool ||= uniqueName("streams")
      const engine = await store().open({ callTimeout: 2000 })
      const streams = await openStreams({ pool, engine, ...options })
      opened.push({ streams, engine })
      return { streams, engine, kill: () => engine.close() }
    },
  }
}

/** The first `count` events. */
export async function first<Event>(events: AsyncIterable<Event>, count: number): Promise<Event[]> {
  const taken: Event[] = []
  for await (const event of events) if (taken.push(event) === count) break
  return taken
}

export const texts = (events: ReadonlyArray<{ readonly text: string }>): string[] => events.map(({ text }) => text)
