/** What the README's code imports and leaves to its reader: a feed and a sink. */
import type { FeedEvent } from "./jobs.def.ts"

export interface Page {
  gone: boolean
  events: FeedEvent[]
  next: number
}
export interface Connection {
  read(cursor: number): Promise<Page>
  end(): Promise<void>
}
export type Connect = (url: string, abortSignal: AbortSignal) => Promise<Connection>
export interface Sink {
  post(events: FeedEvent[], options: { fence: bigint; signal: AbortSignal }): Promise<{ status: number; text: string; accepted: number }>
}

export const connect: Connect = async (url, abortSignal) => ({
  read: async (cursor) => (await (await fetch(`${url}?after=${cursor}`, { signal: abortSignal })).json()) as Page,
  end: async () => undefined,
})
export const httpSink = (url: string): Sink => ({
  post: async (events, { fence, signal }) => {
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(events), headers: { fence: String(fence) }, signal })
    return { status: answer.status, text: await answer.text(), accepted: events.length }
  },
})

/** One event at each read. */
export const fakeConnect: Connect = async () => ({
  read: async (cursor) => ({ gone: false, events: [{ number: cursor + 1, body: "news" }], next: cursor + 1 }),
  end: async () => undefined,
})
export const fakeSink: Sink = { post: async (events) => ({ status: 200, text: "", accepted: events.length }) }
