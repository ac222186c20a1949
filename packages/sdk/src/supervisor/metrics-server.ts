/** Serves the metrics of this process at /metrics, in the form of Prometheus. */
import { createServer } from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import { Cause, Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { PrometheusMetrics } from "effect/observability"

export interface MetricsAddress {
  readonly host: string
  readonly port: number
}

/** Resolves when it serves, with the port that it has (for port 0). It keeps no process alive. */
export const serveMetrics = async ({ host, port }: MetricsAddress): Promise<number> => {
  const server = createServer().unref()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once("listening", resolve)
  const layer = HttpRouter.serve(PrometheusMetrics.layerHttp(), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(NodeHttpServer.layer(() => server, { host, port })),
  )
  Effect.runFork(
    Effect.onExit(Layer.launch(layer), (exit) => Effect.sync(() => reject(exit._tag === "Failure" ? Cause.squash(exit.cause) : exit))),
  )
  await promise
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : port
}
