/** What a cluster says of itself: which primary has which slots. */
import type { Connection } from "./connection.ts"
import type { Place } from "./url.ts"

export interface SlotRange {
  readonly first: number
  readonly last: number
  readonly primary: Primary
}
export interface Primary extends Place {
  /** "" where it has none, or `host` is it. */
  readonly hostname: string
}
export interface SlotMap {
  readonly ranges: ReadonlyArray<SlotRange>
  /** All that were named, replicas too: whom to ask when the primaries are gone. */
  readonly nodes: ReadonlyArray<Place>
  /** Comparable among answers: who sees a whole cluster, and of these the latest. */
  readonly rank: number
}

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** Endpoint, port, id, and a list of further names, by the preference that the cluster is configured with; null: as the asked one. */
function parseNode(node: unknown, asked: string): Primary {
  const [endpoint, port, , more] = list(node)
  const further = list(more)
  const at = further.indexOf("hostname")
  const named = typeof endpoint === "string" && endpoint !== "" && endpoint !== "?"
  return { host: named ? endpoint : asked, port: Number(port), hostname: at < 0 ? "" : String(further[at + 1]) }
}

/**
 * CLUSTER SLOTS rather than CLUSTER SHARDS: its ports are already those of TLS on a TLS connection, its names follow
 * `cluster-preferred-endpoint-type`, it has no entries of failed primaries, and Valkey and the managed services keep it as the clients' call.
 */
export async function readSlots(connection: Connection, host: string, timeout: number): Promise<SlotMap> {
  const [slots, info] = await Promise.all([
    connection.command("cluster", ["SLOTS"], timeout),
    connection.command("cluster", ["INFO"], timeout),
  ])
  const ranges: SlotRange[] = []
  const nodes: Place[] = []
  for (const range of list(slots)) {
    const [first, last, ...serving] = list(range)
    const parsed = serving.map((node) => parseNode(node, host))
    nodes.push(...parsed)
    if (parsed[0] !== undefined) ranges.push({ first: Number(first), last: Number(last), primary: parsed[0] })
  }
  const text = String(info)
  const epoch = Number(/^cluster_current_epoch:(\d+)/m.exec(text)?.[1] ?? 0)
  return { ranges, nodes, rank: (/^cluster_state:ok/m.test(text) ? 2 ** 52 : 0) + epoch }
}
