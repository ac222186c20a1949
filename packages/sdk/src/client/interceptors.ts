/** Interceptors of a client: around each call that changes or asks something. For logging, tracing, rights. */
export interface ClientCall {
  readonly type: "start" | "signal" | "update" | "query" | "cancel" | "terminate"
  readonly kind: string
  readonly key: string
  /** Of the signal, update or query; else "". */
  readonly name: string
  /** Input, payload or reason, before it is encoded. */
  readonly input: unknown
  /** Of a start: kept with the run, and told to the worker's interceptors. To be filled in before `next` is called. */
  readonly headers: Record<string, string>
}

/** `next` makes the call and gives its answer; it must be called once, or not at all (throw then). */
export type ClientInterceptor = (call: ClientCall, next: () => Promise<unknown>) => Promise<unknown>

/** The first of the list is the outermost. */
export const interceptCall = async <A>(
  interceptors: ReadonlyArray<ClientInterceptor>,
  call: ClientCall,
  body: () => Promise<A>,
): Promise<A> => {
  const from = async (at: number): Promise<unknown> => {
    const interceptor = interceptors[at]
    return interceptor === undefined ? await body() : await interceptor(call, () => from(at + 1))
  }
  return (await from(0)) as A
}
