/**
 * The outside world, as a process of its own: `GET /feeds/:tenant/events?after=N` streams a tenant's numbered events (Server-Sent Events),
 * `POST /deliveries/:tenant` receives them, idempotent and guarded by the fence. Every delivery is logged to a file, whatever its answer.
 *
 * For the demo's script: `GET /status`, `POST /stop` (no further events), `DELETE /feeds/:tenant` (410 from then on).
 */
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as delay } from "node:timers/promises"
import { childConfig, dieWithParent } from "./child.ts"
import { dueAt, emittedBy, eventBody, type Emission } from "./emission.ts"
import type { FeedEvent } from "./jobs.def.ts"
import { Receiver } from "./receiver.ts"
import { openRecord, type DeliveryRecord } from "./records.ts"

export interface UpstreamOptions {
  readonly emission: Emission
  /** Where deliveries are logged, one JSON object a line. */
  readonly log: string
  /** Directory that this process removes when the demo was killed and cannot. */
  readonly leftovers?: string
}

export interface UpstreamStatus {
  readonly elapsedMs: number
  readonly stopped: boolean
  /** Accepted events of each tenant. */
  readonly accepted: Readonly<Record<string, number>>
  readonly redelivered: number
  readonly staleRefused: number
}

const bodyLimit = 1_048_576
const heartbeatMs = 10_000

/** Starts the server on a free loopback port. */
export const startUpstream = async ({ emission, log }: UpstreamOptions): Promise<{ url: string; close: () => Promise<void> }> => {
  const started = performance.now()
  let stoppedAt: number | undefined
  const gone = new Set<string>()
  const closing = new AbortController()
  const record = openRecord<DeliveryRecord>(log)
  const elapsedMs = () => stoppedAt ?? performance.now() - started
  const emitted = (tenant: string) => emittedBy(tenant, elapsedMs(), emission)
  const receiver = new Receiver((tenant, { number, body }) => number <= emitted(tenant) && body === eventBody(tenant, number))

  const stream = async (tenant: string, after: number, response: ServerResponse) => {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" })
    response.flushHeaders()
    const ended = new AbortController()
    response.on("close", () => ended.abort())
    const over = AbortSignal.any([ended.signal, closing.signal])
    for (let number = after + 1; !over.aborted && !gone.has(tenant);) {
      const last = emitted(tenant)
      let text = ""
      for (; number <= last && text.length < 65_536; number++) text += `id: ${number}\ndata: ${eventBody(tenant, number)}\n\n`
      if (text !== "" && !response.write(text)) await once(response, "drain", { signal: over }).catch(() => {})
      if (number <= last) continue
      const waitMs = stoppedAt === undefined ? Math.max(1, dueAt(tenant, number, emission) - elapsedMs()) : heartbeatMs
      await delay(Math.min(waitMs, heartbeatMs), undefined, { signal: over }).catch(() => {})
      if (waitMs >= heartbeatMs) response.write(": still here\n\n")
    }
    response.end()
  }

  const receive = async (tenant: string, request: IncomingMessage): Promise<[number, object]> => {
    const fence = String(request.headers["fence"] ?? "")
    if (!/^\d{1,20}$/.test(fence)) return [400, { reason: "expected a header `fence` with the decimal number of job.fence" }]
    const body = parseDelivery(await readBody(request))
    if (body === undefined) return [400, { reason: "expected a JSON body { label, events: [{ number, body }] }" }]
    const { status, accepted, redelivered, reason } = receiver.receive({ tenant, fence: BigInt(fence), events: body.events })
    const call = String(request.headers["idempotency-key"] ?? "")
    record.write({ type: "delivery", tenant, fence, call, label: body.label, status, accepted, redelivered })
    return [status, { delivered: accepted.length + redelivered.length, reason }]
  }

  const route = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? "/", "http://upstream")
    const [, area, name, tail] = url.pathname.split("/")
    const tenant = decodeURIComponent(name ?? "")
    const answer = (status: number, body: object) => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
    }
    const asked = `${request.method} /${area}`
    if (asked === "GET /feeds" && tail === "events") {
      const after = Number(url.searchParams.get("after") ?? 0)
      if (!Number.isSafeInteger(after) || after < 0) return answer(400, { reason: "expected `after` to be the number of an event, or 0" })
      if (gone.has(tenant)) return answer(410, { reason: `the feed of ${tenant} was closed` })
      return await stream(tenant, after, response)
    }
    if (asked === "POST /deliveries" && tenant !== "") return answer(...(await receive(tenant, request)))
    if (asked === "GET /status" || asked === "POST /stop") {
      if (asked === "POST /stop") stoppedAt ??= performance.now() - started
      const status: UpstreamStatus = {
        elapsedMs: elapsedMs(),
        stopped: stoppedAt !== undefined,
        accepted: receiver.counts(),
        ...receiver.totals,
      }
      return answer(200, status)
    }
    if (asked === "DELETE /feeds" && tenant !== "") {
      gone.add(tenant)
      return answer(200, {})
    }
    answer(404, { reason: `there is no ${request.method} ${url.pathname}` })
  }

  const server = createServer((request, response) => {
    route(request, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500)
      response.end()
      console.error(error)
    })
  })
  // A stream lives as long as its reader; a delivery is over in milliseconds.
  server.requestTimeout = 0
  server.keepAliveTimeout = 60_000
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      closing.abort()
      server.close()
      server.closeAllConnections()
      if (server.listening) await once(server, "close")
      record.close()
    },
  }
}

const readBody = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > bodyLimit) throw new Error(`a delivery is over ${bodyLimit} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString("utf8")
}

const parseDelivery = (text: string): { label: string; events: FeedEvent[] } | undefined => {
  try {
    const { label, events } = JSON.parse(text) as { label?: unknown; events?: unknown }
    if (typeof label !== "string" || !Array.isArray(events)) return undefined
    const good = events.every((event) => Number.isSafeInteger(event?.number) && event.number > 0 && typeof event?.body === "string")
    return good ? { label, events: events as FeedEvent[] } : undefined
  } catch {
    return undefined
  }
}

if (import.meta.main) {
  const options = childConfig<UpstreamOptions>()
  const upstream = await startUpstream(options)
  dieWithParent(options.leftovers)
  process.send?.({ type: "ready", url: upstream.url })
  process.on("SIGTERM", () => void upstream.close().then(() => process.exit(0)))
}
