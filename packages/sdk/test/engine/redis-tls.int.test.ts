/** A Redis that speaks TLS, and wants to see a certificate of its clients, as it does by default. */
import { execFile, spawnSync } from "node:child_process"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import type { Engine } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/engine/open.ts"
import { BadOption, StoreUnavailable } from "../../src/errors.ts"
import { startPool } from "../runtime/fixture.ts"
import { Node, waitFor } from "./redis-nodes.ts"
import { freePort } from "../../../../tools/lib/own-server.ts"
import { describeOwnRedis, ownRedis, type OwnRedis } from "./redis-server.ts"

/** An authority in `folder`, and what it signed for this machine, as server and as client. */
async function certificates(folder: string): Promise<void> {
  const openssl = (...args: ReadonlyArray<string>) => promisify(execFile)("openssl", args, { cwd: folder })
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
  await openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test authority", "-days", "2")
  await writeFile(join(folder, "names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
  await openssl("req", ...key, "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=localhost")
  const authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
  await openssl("x509", "-req", "-in", "own.csr", ...authority, "-out", "own.pem", "-days", "2", "-extfile", "names")
}

/** It misses its certificate; one without TLS dies before it looks for one. */
const tried = spawnSync("redis-server", ["--port", "0", "--tls-port", "1", "--save", ""], { encoding: "utf8", timeout: 5_000 })
const able = spawnSync("openssl", ["version"]).status === 0 && `${tried.stdout}${tried.stderr}`.includes("tls-cert-file")

describe.skipIf(!able)("TLS (needs openssl, and a redis-server that speaks it)", () => {
  describeOwnRedis("rediss://", () => {
    let folder = ""
    let files = ""
    const servers: OwnRedis[] = []
    const start = async (more: Readonly<Record<string, string>> = {}): Promise<{ readonly redis: OwnRedis; readonly port: number }> => {
      const port = await freePort()
      const file = (name: string) => join(folder, name)
      const redis = await ownRedis({
        "tls-port": `${port}`,
        "tls-cert-file": file("own.pem"),
        "tls-key-file": file("own.key"),
        "tls-ca-cert-file": file("ca.pem"),
        ...more,
      })
      servers.push(redis)
      return { redis, port }
    }
    const works = async (url: string): Promise<void> => {
      const engine: Engine = await openEngine(url, { connectTimeout: 2_000 })
      try {
        expect((await engine.openPool(uniqueName("pool"), { shards: 4 })).shards).toBe(4)
      } finally {
        await engine.close()
      }
    }
    const runOne = async (url: string): Promise<void> => {
      const pool = startPool(url, uniqueName("pool"))
      const worker = await pool.worker(
        { run: async (job: any) => job.done(await job.activities.shout("hi")) },
        { activities: { shout: (call: any, input: string) => `${input} ${call.attempt}` } },
      )
      try {
        const handle = await pool.client.sample.start({ id: "one" })
        expect(await handle.result({ timeout: 20_000 })).toBe("hi 1")
      } finally {
        await worker.close()
        await pool.client.close()
      }
    }
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "ponos-tls-"))
      await certificates(folder)
      files = `ca=${join(folder, "ca.pem")}&cert=${join(folder, "own.pem")}&key=${join(folder, "own.key")}`
    })
    afterAll(async () => {
      for (const server of servers) await server.stop()
      await rm(folder, { recursive: true, force: true })
    })

    test("names its files in the address, by host's name and by number", async () => {
      const { port } = await start()
      for (const host of ["localhost", "127.0.0.1"]) await works(`rediss://${host}:${port}?${files}`)
    })

    test("an authority that is not known, and a client without a certificate, are refused", async () => {
      const { port } = await start()
      const unknown = await works(`rediss://localhost:${port}`).catch((cause: unknown) => cause)
      expect(StoreUnavailable.is(unknown)).toBe(true)
      expect(String(unknown)).toMatch(/certificate/)
      const nameless = await works(`rediss://localhost:${port}?ca=${join(folder, "ca.pem")}`).catch((cause: unknown) => cause)
      expect(StoreUnavailable.is(nameless)).toBe(true)
    })

    test("a file that is not there, or an option that is none, is told", async () => {
      for (const [query, message] of [
        ["ca=/nowhere/ca.pem", /expected ca in the store URL to be a file that can be read, got: "\/nowhere\/ca.pem"/],
        ["timeout=1", /expected no "\?…" in the store URL but the files of TLS.*got: "timeout"/],
      ] as const) {
        const error = await works(`rediss://localhost:1?${query}`).catch((cause: unknown) => cause)
        expect(BadOption.is(error)).toBe(true)
        expect(String(error)).toMatch(message)
      }
    })

    test("jobs and activities run over it, also where it is a cluster", async () => {
      const { redis, port } = await start({
        "cluster-enabled": "yes",
        "cluster-announce-ip": "127.0.0.1",
        "cluster-port": `${await freePort()}`,
        // Or nodes name their other port.
        "tls-cluster": "yes",
      })
      await redis.client.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
      while (!String(await redis.client.call("CLUSTER", "INFO")).includes("cluster_state:ok")) await new Promise((r) => setTimeout(r, 20))
      const single = await start()
      for (const at of [port, single.port]) await runOne(`rediss://localhost:${at}?${files}`)
    })

    test("and behind Sentinels that speak nothing else", async () => {
      const { port } = await start({ "tls-replication": "yes" })
      const sentinelPort = await freePort()
      const file = join(folder, "sentinel.conf")
      const lines = [
        "port 0",
        `tls-port ${sentinelPort}`,
        `dir ${folder}`,
        ...["cert-file own.pem", "key-file own.key", "ca-cert-file ca.pem"].map((line) => `tls-${line}`),
        "tls-replication yes",
        `sentinel monitor main 127.0.0.1 ${port} 1`,
      ]
      await writeFile(file, `${lines.join("\n")}\n`)
      const [ca, cert, key] = await Promise.all(["ca.pem", "own.pem", "own.key"].map((name) => readFile(join(folder, name))))
      const sentinel = new Node(sentinelPort, folder, [file, "--sentinel"], { tls: { ca, cert, key, servername: "localhost" } })
      try {
        await waitFor(async () => String(await sentinel.call("SENTINEL", "MASTERS").catch(() => "")).includes("main"), "it watches")
        await runOne(`rediss+sentinel://localhost:${sentinelPort}/main?${files}`)
      } finally {
        await sentinel.stop()
      }
    })
  })
})
