/** Three primaries and three replicas, all with their append-only files. */
import { slotOf } from "../../src/engine/redis/slot.ts"
import { follows, type Node, ownNodes, settle, waitFor } from "../engine/redis-nodes.ts"
import type { ChaosStore } from "./stores.ts"

/** The prefix of keys, and with it the slot of a pool's shard, is the SDK's default. */
export const clusterStore = async (): Promise<ChaosStore> => {
  const cluster = await ownNodes(3, { appendonly: "yes", appendfsync: "always" })
  const { nodes, primaries, replicas } = cluster
  /** It is never hurt, and is asked what it sees. */
  const [witness, ...victims] = primaries
  if (witness === undefined) throw new Error("expected a cluster to have primaries")
  let killed: Node | undefined
  let stranded: Node | undefined
  const replicaOf = (primary: Node): ReadonlyArray<Node> => replicas.filter((_, n) => primaries[n] === primary)
  /** Ports of the primaries, as the witness sees it. */
  const serving = async (): Promise<ReadonlyArray<string>> => {
    const lines = String(await witness.call("CLUSTER", "NODES")).split("\n")
    return lines.flatMap((line) => (/master/.test(line) && !/\bfail/.test(line) ? [/:(\d+)@/.exec(line)?.[1] ?? ""] : [])).toSorted()
  }
  const inOrder = async (node: Node): Promise<boolean> => /cluster_state:ok/.test(String(await node.call("CLUSTER", "INFO")))
  const setFailover = (allowed: boolean) =>
    Promise.all(nodes.map((node) => node.call("CONFIG", "SET", "cluster-replica-no-failover", allowed ? "no" : "yes")))
  return {
    name: "cluster",
    url: cluster.url,
    servers: { data: nodes.map(({ port }) => port), sentinels: [] },
    failover: async (of) => {
      const victim = stranded ?? victims[Math.floor(victims.length * Math.random())] ?? witness
      if (killed !== undefined) throw new Error("expected one failover, and not another one: each primary has one replica")
      killed = victim
      if (victim !== stranded) await settle(victim, replicaOf(victim))
      if (of === "killed") await victim.kill()
      else victim.freeze()
      // For a moment the others still take it for a primary.
      await waitFor(async () => {
        const ports = await serving()
        return ports.length === 3 && !ports.includes(String(victim.port))
      }, "a replica took over")
      return {
        thaw: async () => {
          victim.thaw()
          await victim.call("CLIENT", "UNPAUSE")
          await waitFor(() => follows(victim), "the old primary follows")
        },
      }
    },
    serving: async () => (await serving()).join(" "),
    flush: async () => void (await Promise.all(nodes.filter((node) => node !== killed).map((node) => node.empty()))),
    // The primary with most of the shards refuses its replica from now on, which then takes over however old it is.
    strand: async (tags) => {
      const owners = new Map<string, Node>()
      for (const tag of new Set(tags)) owners.set(tag, await cluster.primaryOf(slotOf(`{${tag}}`)))
      const count = (of: Node): number => [...owners.values()].filter((node) => node === of).length
      const victim = victims.toSorted((a, b) => count(b) - count(a))[0] ?? witness
      await settle(victim, replicaOf(victim))
      await Promise.all(replicaOf(victim).map((node) => node.call("CONFIG", "SET", "cluster-replica-validity-factor", 0)))
      await victim.call("ACL", "SETUSER", "default", "-psync", "-sync")
      await victim.call("CLIENT", "KILL", "TYPE", "REPLICA")
      await victim.call("CLIENT", "UNPAUSE")
      stranded = victim
      return (tag) => owners.get(tag) === victim
    },
    restart: async () => {
      await setFailover(false)
      await Promise.all(nodes.map((node) => node.kill()))
      // Who is back first would take over from who is late, without what that one has on its disk.
      for (const node of nodes) node.restart("--cluster-replica-no-failover", "yes")
      await waitFor(async () => (await Promise.all(nodes.map(inOrder))).every(Boolean), "the cluster is in order")
      await waitFor(async () => (await Promise.all(replicas.map(follows))).every(Boolean), "the replicas follow")
      await setFailover(true)
    },
    migrate: async (pool) => {
      const [, second] = primaries
      if (second === undefined) return
      for (const tag of [`${pool}:0`, `${pool}:1`, pool]) {
        const slot = slotOf(`{${tag}}`)
        const owner = await cluster.primaryOf(slot)
        await cluster.moveSlot(slot, owner === witness ? second : witness)
      }
    },
    stop: () => cluster.stop(),
  }
}
