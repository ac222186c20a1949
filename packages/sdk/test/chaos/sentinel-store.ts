/** A primary with two replicas, all with their append-only files, and three Sentinels. */
import { follows, type Node, ownSentinels, settle, waitFor } from "../engine/redis-nodes.ts"
import type { ChaosStore } from "./stores.ts"

/** None comes while servers restart: it would forget what they have on their disks. */
const patientMs = 60_000
/** A failover, also one that the Sentinels begin a second time. */
const takeoverMs = 40_000

export const sentinelStore = async (): Promise<ChaosStore> => {
  const sentinels = await ownSentinels({ settings: { appendonly: "yes", appendfsync: "always" } })
  const { nodes } = sentinels
  const ports = (of: ReadonlyArray<Node>): ReadonlyArray<number> => of.map(({ port }) => port)
  const others = (primary: Node): ReadonlyArray<Node> => nodes.filter((node) => node !== primary)
  let stranded = false
  return {
    name: "sentinel",
    url: sentinels.url,
    servers: { data: ports(nodes), sentinels: ports(sentinels.sentinels) },
    failover: async (of) => {
      const old = await sentinels.named()
      const before = await sentinels.epoch()
      if (!stranded) await settle(old, others(old))
      if (of === "killed") await old.kill()
      else old.freeze()
      // Until it has a replica, another failover, which a busy machine is good for, would forget what it has acknowledged by now.
      await waitFor(
        async () => {
          const named = await sentinels.named()
          return named !== old && /role:master[^]*state=online/.test(String(await named.call("INFO", "replication")))
        },
        "the Sentinels name another one, and a replica follows it",
        takeoverMs,
      )
      const made = (await sentinels.epoch()) - before
      return {
        disturbed: made === 1 ? undefined : `the Sentinels made ${made} failovers of one`,
        // They tell it some ten seconds later whom to follow. Until then it takes itself for a primary.
        thaw: async () => {
          old.thaw()
          await old.call("CLIENT", "UNPAUSE")
          await waitFor(() => follows(old), "the old primary follows", takeoverMs)
        },
      }
    },
    serving: async () => `${(await sentinels.named()).port}, failover ${await sentinels.epoch()}`,
    flush: async () => await (await sentinels.named()).empty(),
    // They keep what they have, and follow nobody. The Sentinels would mend it, some ten seconds later.
    strand: async () => {
      const primary = await sentinels.named()
      await settle(primary, others(primary))
      stranded = true
      await Promise.all(others(primary).map((node) => node.call("REPLICAOF", "127.0.0.1", 1)))
      await primary.call("CLIENT", "UNPAUSE")
      return () => true
    },
    restart: async () => {
      const primary = await sentinels.named()
      await sentinels.setDownMs(patientMs)
      await Promise.all(nodes.map((node) => node.kill()))
      primary.restart()
      for (const node of others(primary)) node.restart("--replicaof", "127.0.0.1", String(primary.port))
      await waitFor(async () => (await Promise.all(others(primary).map(follows))).every(Boolean), "the replicas follow")
      await sentinels.setDownMs()
    },
    stop: () => sentinels.stop(),
  }
}
