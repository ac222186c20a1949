/**
 * Tracing by Effect's tracer: interceptors that make a span of each call of a client, attempt, step, activity and call to another job, in one trace. Where the spans go is said by
 * a layer with a tracer (OTLP, OpenTelemetry), the worker's own and one for the client. The trace goes with a run in its header `traceparent`.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import { Effect, Tracer } from "effect"
import type { ClientInterceptor } from "./client/interceptors.ts"
import type { WorkCall, WorkInterceptor } from "./runtime/interceptors.ts"

/** The span in which the code at hand runs. */
const current = new AsyncLocalStorage<Tracer.AnySpan>()

/** https://www.w3.org/TR/trace-context/#traceparent-header */
const print = ({ traceId, spanId, sampled }: Tracer.AnySpan): string => `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`
const parse = (text: string | undefined): Tracer.ExternalSpan | undefined => {
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(text ?? "")
  if (match === null) return undefined
  const [, traceId = "", spanId = "", flags = ""] = match
  return Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 })
}

const spanned = (
  name: string,
  attributes: Record<string, unknown>,
  kind: Tracer.SpanKind,
  parent: Tracer.AnySpan | undefined,
  body: (span: Tracer.Span) => Promise<unknown>,
): Effect.Effect<unknown, unknown> =>
  Effect.useSpan(name, { attributes, kind, ...(parent === undefined ? { root: true } : { parent }) }, (span) =>
    Effect.tryPromise({ try: () => current.run(span, () => body(span)), catch: (error) => error }),
  )

const nameOf = ({ type, kind, name, to }: WorkCall): string => `${type} ${type === "run" ? kind : name === "" ? (to?.kind ?? kind) : name}`

const kinds: Readonly<Record<WorkCall["type"], Tracer.SpanKind>> = {
  run: "consumer",
  activity: "consumer",
  step: "internal",
  start: "producer",
  signal: "producer",
  cancel: "producer",
  result: "client",
}

/** For `createWorker({ layer, interceptors: [traceWork()] })`. */
export const traceWork =
  (): WorkInterceptor =>
  (call, next, { run }) => {
    const { kind, key, run: id, iteration, attempt } = call
    const attributes = {
      "ponos.kind": kind,
      "ponos.key": key,
      "ponos.run": id,
      "ponos.attempt": attempt,
      ...(iteration === undefined ? {} : { "ponos.iteration": iteration }),
      ...(call.to === undefined ? {} : { "ponos.to.kind": call.to.kind, "ponos.to.key": call.to.key }),
    }
    const parent = current.getStore() ?? parse(call.headers["traceparent"])
    const body = (span: Tracer.Span): Promise<unknown> => {
      if (call.outgoing !== undefined) call.outgoing["traceparent"] = print(span)
      return next()
    }
    return run(spanned(nameOf(call), attributes, kinds[call.type], parent, body))
  }

export interface TraceClientOptions {
  /** A `ManagedRuntime` whose layer has the tracer; default: none, then spans are only passed on. */
  readonly runtime?: { runPromise<A, E>(effect: Effect.Effect<A, E>): Promise<A> }
}

/** For `createClient({ interceptors: [traceClient({ runtime })] })`: what a run does becomes a part of the trace in which it was started. */
export const traceClient =
  ({ runtime }: TraceClientOptions = {}): ClientInterceptor =>
  (call, next) => {
    const attributes = { "ponos.kind": call.kind, "ponos.key": call.key }
    const name = `${call.type} ${call.name === "" ? call.kind : call.name}`.trim()
    const traced = spanned(name, attributes, "client", current.getStore(), (span) => {
      call.headers["traceparent"] = print(span)
      return next()
    })
    return runtime === undefined ? Effect.runPromise(traced) : runtime.runPromise(traced)
  }
