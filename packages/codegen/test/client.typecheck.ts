/** What the generated clients take and give. Type-checked only. */
import { createClient as createComposite } from "./fixtures/composite/ponos.gen/client.ts"
import { createClient as createEverything } from "./fixtures/all-types/ponos.gen/client.ts"
import type { FeedState } from "./fixtures/feed/jobs.def.ts"
import { createClient } from "./fixtures/feed/ponos.gen/client.ts"

type Same<A, B> = (<G>() => G extends A ? 1 : 2) extends <G>() => G extends B ? 1 : 2 ? true : { readonly differ: [A, B] }
const same = <T extends true>(): T => true as T

const url = "https://example.org"

export const feed = async (): Promise<void> => {
  await using ponos = createClient({ pool: "tenants" })
  const handle = await ponos.tenantFeed.start({ tenantId: "acme", url, pollSeconds: 5 }, { after: "1 second", ifRunning: "reject" })
  await handle.signal.pause({ reason: "billing" })
  const input = { tenantId: "acme", url, pollSeconds: 5 }
  await ponos.tenantFeed.start(input, { signal: { name: "pause", payload: { reason: "billing" } } })
  await ponos.tenantFeed.start(input, { signal: { name: "resume", id: "once" } })
  // @ts-expect-error the payload of the first signal is missing
  await ponos.tenantFeed.start(input, { signal: { name: "pause" } })
  // @ts-expect-error no such signal
  await ponos.tenantFeed.start(input, { signal: { name: "stop" } })
  await handle.signal.resume()
  await handle.signal.resume(undefined, { id: "once" })
  const { previous } = await handle.update.reconfigure({ pollSeconds: 60 }, { id: "a", timeout: "1 second" })
  same<Same<typeof previous, number>>()
  const progress = await handle.query.progress()
  same<Same<typeof progress, { delivered: number; lagSeconds: number }>>()
  const { state } = await handle.describe()
  same<Same<typeof state, FeedState | undefined>>()
  const result = await handle.result({ timeout: "1 minute" })
  same<Same<typeof result, void>>()
  await ponos.tenantFeed.get("acme").cancel("gone")
  for await (const { key } of ponos.tenantFeed.list({ limit: 1 })) same<Same<typeof key, string>>()
  same<Same<typeof ponos.tenantFeed.kind, "tenant-feed">>()
  await ponos.close()
  // @ts-expect-error a field is missing
  await ponos.tenantFeed.start({ tenantId: "acme", url })
  // @ts-expect-error a wrong type
  await ponos.tenantFeed.start({ tenantId: "acme", url, pollSeconds: "5" })
  // @ts-expect-error a wrong option
  await ponos.tenantFeed.start({ tenantId: "acme", url, pollSeconds: 5 }, { ifRunning: "no" })
  // @ts-expect-error the payload is missing
  await handle.signal.pause()
  // @ts-expect-error no such signal
  await handle.signal.stop()
  // @ts-expect-error a wrong input
  await handle.update.reconfigure({})
  // @ts-expect-error the key of one field is a string
  ponos.tenantFeed.get({ tenantId: "acme" })
  // @ts-expect-error no such job
  void ponos.other
  // @ts-expect-error the pool is missing
  createClient({})
}

export const composite = async (): Promise<void> => {
  await using ponos = createComposite({ pool: "tenants", store: undefined })
  const handle = ponos.oneFeed.get({ tenantId: "acme", feedId: "1" })
  const result = await handle.result()
  same<Same<typeof result, { delivered: number }>>()
  const renamed = await handle.update.rename({ name: "x" })
  same<Same<typeof renamed, void>>()
  await handle.update.clear()
  const { state } = await handle.describe()
  same<Same<typeof state, undefined>>()
  // @ts-expect-error a part of the key is missing
  ponos.oneFeed.get({ tenantId: "acme" })
  // @ts-expect-error not a string
  ponos.oneFeed.get("acme")
  // @ts-expect-error no signals are declared
  void handle.signal
  // @ts-expect-error no signals are declared
  await ponos.tick.start({ name: "daily" }, { signal: { name: "go" } })
  // @ts-expect-error no input is declared
  await handle.update.clear({})
  // @ts-expect-error not one of the literals
  await ponos.tick.start({ name: "weekly" })
}

export const everything = async (): Promise<void> => {
  await using ponos = createEverything({ pool: "tenants" })
  const handle = ponos.everything.get("a")
  await handle.signal["odd-signal"](1)
  await handle.signal.at(new Date())
  const flag = await handle.query.flag()
  same<Same<typeof flag, boolean>>()
  // @ts-expect-error a date is not sent as text by hand
  await handle.signal.at("2026-01-01")
}
