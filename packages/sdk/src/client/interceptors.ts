/** Interceptors of a client: around each of its calls, whether it changes something or reads. For logging, tracing, rights. */
export interface ClientCall {
  /**
   * `list`: a page of runs, of `page()`, or one of those that `list()` reads as it goes; it is answered with a `Page`, from which an interceptor may take out what
   * nobody is to see. `result`: until the run ends. `stats`: of the pool.
   */
  readonly type: "start" | "signal" | "update" | "query" | "cancel" | "terminate" | "describe" | "history" | "result" | "list" | "stats"
  /** "" for `stats`. */
  readonly kind: string
  /** "" for `list` and `stats`. */
  readonly key: string
  /** Of the signal, update or query; else "". */
  readonly name: string
  /** Input, payload or reason, before it is encoded; of a list what is asked for (filter, `cursor`, `limit`); of stats their options; else undefined. */
  readonly input: unknown
  /** Of a start: kept with the run, and told to the worker's interceptors. To be filled in before `next` is called. */
  readonly headers: Record<string, string>
}

/** `next` makes the call and gives its answer; it must be called once, or not at all (throw then). */
export type ClientInterceptor = (call: ClientCall, next: () => Promise<unknown>) => Promise<unknown>

/** The first of the list is the outermost. Without any, `body` is called as it is. */
export const interceptCall = async <A>(
  interceptors: ReadonlyArray<ClientInterceptor>,
  call: Pick<ClientCall, "type"> & Partial<ClientCall>,
  body: (headers: Record<string, string>) => Promise<A>,
): Promise<A> => {
  const headers: Record<string, string> = {}
  if (interceptors.length === 0) return await body(headers)
  const whole: ClientCall = { kind: "", key: "", name: "", input: undefined, ...call, headers }
  const from = async (at: number): Promise<unknown> => {
    const interceptor = interceptors[at]
    return interceptor === undefined ? await body(headers) : await interceptor(whole, () => from(at + 1))
  }
  return (await from(0)) as A
}
