/** What the README's code imports and leaves to its reader: a feed and a sink. */
export interface Page {
  gone: boolean
  events: string[]
  next: number
}
export interface Connection {
  read(cursor: number): Promise<Page>
  end(): Promise<void>
}
export type Connect = (url: string, abortSignal: AbortSignal) => Promise<Connection>
export interface Sink {
  post(events: string[], options: { fence: bigint; signal: AbortSignal }): Promise<{ accepted: number }>
}

export const connect: Connect = async (url, abortSignal) => ({
  read: async (cursor) => (await (await fetch(`${url}?after=${cursor}`, { signal: abortSignal })).json()) as Page,
  end: async () => undefined,
})
export const httpSink = (url: string): Sink => ({
  post: async (events, { fence, signal }) => {
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(events), headers: { fence: String(fence) }, signal })
    if (!answer.ok) throw new Error(`the sink answered ${answer.status}`)
    return { accepted: events.length }
  },
})

/** One event at each read. */
export const fakeConnect: Connect = async () => ({
  read: async (cursor) => ({ gone: false, events: [`news ${cursor + 1}`], next: cursor + 1 }),
  end: async () => undefined,
})
export const fakeSink: Sink = { post: async (events) => ({ accepted: events.length }) }
