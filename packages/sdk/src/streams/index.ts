/** `@ponos/sdk/streams`: events for many readers, and for sinks whose consumers share them. */
export { StreamEvent } from "./event.ts"
export type { TopicFilter } from "./event.ts"
export type { Reader, ReaderOptions } from "./reader.ts"
export type { Sink, SinkEvent, SinkOptions } from "./sink.ts"
export type { StreamStart } from "./start.ts"
export { openStreams } from "./streams.ts"
export type { Appended, NewEvent, OpenStreamsOptions, Streams } from "./streams.ts"
