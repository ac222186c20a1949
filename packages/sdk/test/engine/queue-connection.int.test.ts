/** What BullMQ's connections do where ioredis alone would not come back. */
import { Cluster, type Redis } from "ioredis"
import { expect, test } from "vitest"
import { queueConnection } from "../../src/engine/redis/queue-connection.ts"
import { slotOf } from "../../src/engine/redis/slot.ts"
import { ownNodes, waitFor } from "./redis-nodes.ts"
import { describeOwnRedis } from "./redis-server.ts"

const isReplica = ({ options }: Redis): boolean => options.readOnly === true

describeOwnRedis("the connections of a queue", () => {
  test("find the primary again when all are lost but that to its replica", async () => {
    const servers = await ownNodes(3)
    const queue = await queueConnection(servers.url, true)
    const { connection } = queue
    try {
      if (!(connection instanceof Cluster)) throw new Error("expected a client of a cluster")
      const write = (key: string): Promise<unknown> => connection.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, key, "x")
      await write("any")
      // it lists the replicas that the server which it asks knows of, one at least
      await waitFor(async () => {
        await new Promise((done) => {
          connection.refreshSlotsCache(done)
        })
        return connection.nodes("slave").length > 0
      }, "it knows a replica")
      const port = connection.nodes("slave").find(isReplica)?.options.port
      const primary = servers.primaries[servers.replicas.findIndex((node) => node.port === port)]
      const keys = Array.from({ length: 100 }, (_, n) => `key-${n}`)
      const owners = await Promise.all(keys.map((key) => servers.primaryOf(slotOf(key))))
      const key = keys[owners.findIndex((node) => node === primary)] ?? ""

      await waitFor(() => {
        for (const node of connection.nodes()) if (node.options.port !== port) node.disconnect()
        return connection.nodes().length === 1
      }, "only the replica is left")
      await waitFor(async () => (await write(key).catch(() => "")) === "OK", "it writes again")
      expect(await primary?.call("GET", key)).toBe("x")
    } finally {
      queue.close()
      await servers.stop()
    }
  })
})
