/** That a worker's process has no way to its store beside its ways: else a cut would be none. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, onTestFinished, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { ownSentinels, waitFor } from "../engine/redis-nodes.ts"
import { describeOwnRedis } from "../engine/redis-server.ts"
import { Ways } from "./ways.ts"
import { Worker } from "./worker.ts"
import { leaseMs, shards } from "./world.ts"

describeOwnRedis("the ways of a worker", () => {
  test("are the only ones, of its lease thread and its activities too, to each server and each Sentinel", async () => {
    const world = await ownSentinels()
    onTestFinished(() => world.stop())
    const folder = await mkdtemp(join(tmpdir(), "ponos-ways-"))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const ports = (nodes: typeof world.nodes): ReadonlyArray<number> => nodes.map(({ port }) => port)
    const ways = await Ways.open({ data: ports(world.nodes), sentinels: ports(world.sentinels) })
    onTestFinished(() => ways.close())
    const pool = uniqueName("ways")
    const file = join(folder, "w.jsonl")
    const spec = { store: world.url, pool, lowPool: `${pool}-low`, shards, worker: "w", file, options: { leaseMs } }
    // Sentinels have connections to each other, too.
    const clients = async (node: (typeof world.nodes)[number]): Promise<ReadonlyArray<string>> =>
      String(await node.call("CLIENT", "LIST", "TYPE", "NORMAL"))
        .trim()
        .split("\n")
        .filter((line) => !line.includes(" name=sentinel-"))
        .map((line) => / addr=(\S+) /.exec(line)?.[1] ?? "")
    const servers = [world.primary, ...world.sentinels]
    const before = new Set((await Promise.all(servers.map(clients))).flat())
    const worker = new Worker(spec, ways)
    onTestFinished(() => worker.end("SIGKILL"))
    await waitFor(() => (worker.count("up") === 1 && worker.count("claimed") === 2 * shards) || !worker.alive, "it has all shards")
    expect(worker.said).not.toContain("Error")
    for (const node of servers) {
      const own = (await clients(node)).filter((address) => !before.has(address))
      // The primary has links of both pools' engine and lease thread, and the queue's; the Sentinels are asked by each engine.
      expect(own.length).toBeGreaterThanOrEqual(2)
      expect(ways.addresses(node.port)).toEqual(expect.arrayContaining([...own]))
    }
    ways.cut()
    await waitFor(() => worker.count("deposed") >= 2, "it gives up its shards of both pools")
    ways.heal()
    await waitFor(() => worker.count("claimed") >= 4 * shards, "it has them again")
  })
})
