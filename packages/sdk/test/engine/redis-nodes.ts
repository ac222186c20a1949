/** Several redis-servers of a test's own: a cluster with a replica for each primary, or a primary with replicas and its Sentinels. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { Redis } from "ioredis"

export const waitFor = async (condition: () => boolean | Promise<boolean>, what: string, ms = 20_000): Promise<void> => {
  const end = performance.now() + ms
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${ms} ms in vain until ${what}`)
    await delay(20)
  }
}

export class Node {
  readonly port: number
  readonly client: Redis
  readonly #folder: string
  readonly #args: ReadonlyArray<string>
  #server: ChildProcess

  constructor(port: number, folder: string, args: ReadonlyArray<string>, login: object = {}) {
    this.port = port
    this.#folder = folder
    this.#args = args
    this.#server = this.#start()
    this.client = new Redis({ port, ...login, retryStrategy: () => 20, maxRetriesPerRequest: null })
    this.client.on("error", () => {})
  }

  #start(...more: ReadonlyArray<string>): ChildProcess {
    const server = spawn("redis-server", [...this.#args, ...more], { cwd: this.#folder, stdio: "ignore" })
    const kill = (): void => void server.kill("SIGKILL")
    process.on("exit", kill)
    server.on("exit", () => process.off("exit", kill))
    return server
  }

  async call(...words: ReadonlyArray<string | number>): Promise<unknown> {
    const [command, ...args] = words.map(String)
    return await this.client.call(command ?? "", ...args)
  }

  /** A replica refuses, and follows its primary. */
  async empty(): Promise<void> {
    if ((await this.replication("role")) === "master") await this.call("FLUSHALL")
  }

  freeze(): void {
    this.#server.kill("SIGSTOP")
  }

  thaw(): void {
    this.#server.kill("SIGCONT")
  }

  async kill(): Promise<void> {
    if (this.#server.exitCode !== null || this.#server.signalCode !== null) return
    const exited = once(this.#server, "exit")
    this.#server.kill("SIGKILL")
    await exited
  }

  /** With what it has saved: nothing, unless the test set it otherwise; `more`: further arguments. */
  restart(...more: ReadonlyArray<string>): void {
    this.#server = this.#start(...more)
  }

  /** A field of `INFO replication`. */
  async replication(name: string): Promise<string> {
    return new RegExp(`^${name}:(.*?)\r?$`, "m").exec(String(await this.call("INFO", "replication")))?.[1] ?? ""
  }

  /** Resolves when a replica has all that was written until now. (`WAIT` asks for what the connection that says it has written: here nothing.) */
  async copied(ms?: number): Promise<void> {
    const written = Number(await this.replication("master_repl_offset"))
    await waitFor(
      async () => {
        const info = String(await this.call("INFO", "replication"))
        return [...info.matchAll(/^slave\d+:.*\boffset=(\d+)/gm)].some(([, offset]) => Number(offset) >= written)
      },
      "a replica has it",
      ms,
    )
  }

  async stop(): Promise<void> {
    this.client.disconnect()
    await this.kill()
  }
}

/** Below the ephemeral range, and the port of the cluster's bus, 10,000 above, free too. */
async function nodePorts(count: number): Promise<ReadonlyArray<number>> {
  const free = (port: number): Promise<boolean> =>
    new Promise((resolve) => {
      const server = createServer()
      server.once("error", () => resolve(false))
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
    })
  const ports: number[] = []
  while (ports.length < count) {
    const port = 12_000 + Math.floor(Math.random() * 10_000)
    if (!ports.includes(port) && (await free(port)) && (await free(port + 10_000))) ports.push(port)
  }
  return ports
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy()
      resolve(true)
    })
    socket.on("error", () => resolve(false))
  })

export interface Nodes {
  readonly nodes: ReadonlyArray<Node>
  readonly url: string
  stop(): Promise<void>
}

async function startNodes(count: number, settings: Readonly<Record<string, string>>, folder: string, login: object = {}): Promise<Node[]> {
  const nodes = await Promise.all(
    (await nodePorts(count)).map(async (port) => {
      const own = join(folder, String(port))
      await mkdir(own)
      const options = { port: String(port), bind: "127.0.0.1", dir: own, save: "", appendonly: "no", ...settings }
      return new Node(
        port,
        own,
        Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
        login,
      )
    }),
  )
  await Promise.all(nodes.map((node) => waitFor(() => listens(node.port), "a server listens")))
  return nodes
}

/** It acknowledges no write any more (for a minute, or until `CLIENT UNPAUSE`), and all that it did acknowledge the replicas have. */
export const settle = async (primary: Node, replicas: ReadonlyArray<Node>): Promise<void> => {
  await primary.call("CLIENT", "PAUSE", 60_000, "WRITE")
  const offset = Number(await primary.replication("master_repl_offset"))
  await waitFor(async () => {
    const copied = await Promise.all(replicas.map((node) => node.replication("slave_repl_offset")))
    return copied.every((text) => Number(text) >= offset)
  }, "the replicas have all")
}

export const follows = async (node: Node): Promise<boolean> => (await node.replication("master_link_status")) === "up"

const stopAll = async (nodes: ReadonlyArray<Node>, folder: string): Promise<void> => {
  await Promise.all(nodes.map((node) => node.stop()))
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}

export interface TestCluster extends Nodes {
  readonly primaries: ReadonlyArray<Node>
  readonly replicas: ReadonlyArray<Node>
  nodeOf(id: string): Promise<Node>
  /** The node that has the slot as primary, as the cluster sees it. */
  primaryOf(slot: number): Promise<Node>
  /** As a resharding does it, one slot after the other. */
  moveSlot(slot: number, to: Node, between?: () => Promise<void>): Promise<void>
}

const third = (n: number): number => Math.floor((16_384 * n) / 3)

/** Three primaries, and as many replicas: the n-th follows the n-th. `settings` of all. */
export async function ownNodes(replicas: 0 | 3, settings: Readonly<Record<string, string>> = {}): Promise<TestCluster> {
  const folder = await mkdtemp(join(tmpdir(), "ponos-cluster-"))
  const nodes = await startNodes(
    3 + replicas,
    {
      "cluster-enabled": "yes",
      "cluster-announce-ip": "127.0.0.1",
      "cluster-node-timeout": "1000",
      "repl-diskless-sync-delay": "0",
      ...settings,
    },
    folder,
  )
  const [first] = nodes
  if (first === undefined) throw new Error("no node")
  const primaries = nodes.slice(0, 3)
  await Promise.all(primaries.map((node, n) => node.call("CLUSTER", "ADDSLOTSRANGE", third(n), third(n + 1) - 1)))
  await Promise.all(nodes.map((node, n) => node.call("CLUSTER", "SET-CONFIG-EPOCH", n + 1)))
  for (const node of nodes.slice(1)) await first.call("CLUSTER", "MEET", "127.0.0.1", node.port)
  const idOf = async (node: Node): Promise<string> => String(await node.call("CLUSTER", "MYID"))
  const view = async (node: Node): Promise<string> => String(await node.call("CLUSTER", "NODES"))
  await waitFor(
    async () =>
      (await Promise.all(nodes.map(view))).every((text) => text.trim().split("\n").length === nodes.length && !text.includes("handshake")),
    "all nodes know each other",
  )
  await Promise.all(nodes.slice(3).map(async (node, n) => await node.call("CLUSTER", "REPLICATE", await idOf(primaries[n] ?? first))))
  const inOrder = async (node: Node): Promise<boolean> => String(await node.call("CLUSTER", "INFO")).includes("cluster_state:ok")
  await waitFor(async () => (await Promise.all(nodes.map(inOrder))).every(Boolean), "the cluster is in order")
  await waitFor(async () => (await Promise.all(nodes.slice(3).map(follows))).every(Boolean), "the replicas follow")
  await waitFor(
    async () => (await Promise.all(nodes.map(view))).every((text) => text.split("slave").length - 1 === replicas),
    "all know the replicas",
  )
  const nodeOf = async (id: string): Promise<Node> => {
    for (const node of nodes) if ((await idOf(node).catch(() => "")) === id) return node
    throw new Error(`no node ${id}`)
  }
  return {
    nodes,
    primaries,
    replicas: nodes.slice(3),
    url: `redis://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}`,
    nodeOf,
    primaryOf: async (slot) => {
      const some = primaries[1] ?? first
      const slots = (await some.call("CLUSTER", "SLOTS")) as ReadonlyArray<[number, number, [string, number, string]]>
      const found = slots.find(([from, to]) => from <= slot && slot <= to)
      const node = nodes.find(({ port }) => port === found?.[2][1])
      if (node === undefined) throw new Error(`nobody has slot ${slot}`)
      return node
    },
    moveSlot: async (slot, to, between) => {
      let from: Node | undefined
      for (const node of nodes.filter((each) => each.client.status === "ready")) {
        const slots = (await node.call("CLUSTER", "SLOTS")) as ReadonlyArray<[number, number, [string, number, string]]>
        const port = slots.find(([low, high]) => low <= slot && slot <= high)?.[2][1]
        from = nodes.find((each) => each.port === port)
        break
      }
      if (from === undefined || from === to) return
      const [fromId, toId] = [await idOf(from), await idOf(to)]
      await to.call("CLUSTER", "SETSLOT", slot, "IMPORTING", fromId)
      await from.call("CLUSTER", "SETSLOT", slot, "MIGRATING", toId)
      for (;;) {
        const keys = (await from.call("CLUSTER", "GETKEYSINSLOT", slot, 10)) as string[]
        if (keys.length === 0) break
        await from.call("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", ...keys)
      }
      await between?.()
      await to.call("CLUSTER", "SETSLOT", slot, "NODE", toId)
      await from.call("CLUSTER", "SETSLOT", slot, "NODE", toId)
    },
    stop: () => stopAll(nodes, folder),
  }
}

export interface TestSentinels extends Nodes {
  /** The first primary, and its replicas. */
  readonly primary: Node
  readonly sentinels: ReadonlyArray<Node>
  /** Whom the Sentinels name. */
  named(): Promise<Node>
  /** Of the failover by which it came to be named; grows with each. */
  epoch(): Promise<number>
  /** After how long they take a server for dead, from now on; without: as it was. */
  setDownMs(ms?: number): Promise<void>
}

export interface SentinelOptions {
  readonly downMs?: number
  readonly password?: string
  /** Of the servers. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A primary, two replicas, three Sentinels that take a server for dead after `downMs`; with `password`, all six ask for it. */
export async function ownSentinels({ downMs = 700, password = "", settings = {} }: SentinelOptions = {}): Promise<TestSentinels> {
  const folder = await mkdtemp(join(tmpdir(), "ponos-sentinel-"))
  const login = password === "" ? {} : { password }
  const secret = password === "" ? {} : { requirepass: password, masterauth: password }
  const nodes = await startNodes(3, { "repl-diskless-sync-delay": "0", ...secret, ...settings }, folder, login)
  const [primary] = nodes
  if (primary === undefined) throw new Error("no node")
  for (const node of nodes.slice(1)) await node.call("REPLICAOF", "127.0.0.1", primary.port)
  const name = "main"
  const sentinels = await Promise.all(
    (await nodePorts(3)).map(async (port) => {
      const own = join(folder, `sentinel-${port}`)
      await mkdir(own)
      const file = join(own, "sentinel.conf")
      await writeFile(
        file,
        [
          `port ${port}`,
          "bind 127.0.0.1",
          `dir ${own}`,
          `sentinel monitor ${name} 127.0.0.1 ${primary.port} 2`,
          `sentinel down-after-milliseconds ${name} ${downMs}`,
          `sentinel failover-timeout ${name} 5000`,
          ...(password === "" ? [] : [`sentinel auth-pass ${name} ${password}`, `requirepass ${password}`]),
          "",
        ].join("\n"),
      )
      return new Node(port, own, [file, "--sentinel"], login)
    }),
  )
  const field = (reply: unknown, wanted: string): string => {
    const parts = (reply as ReadonlyArray<unknown>).map(String)
    return parts[parts.indexOf(wanted) + 1] ?? ""
  }
  await waitFor(async () => {
    const views = await Promise.all(sentinels.map((node) => node.call("SENTINEL", "MASTER", name).catch(() => [])))
    return views.every((view) => field(view, "num-other-sentinels") === "2" && field(view, "num-slaves") === "2")
  }, "the Sentinels know each other and the replicas")
  const all = [...nodes, ...sentinels]
  /** What the best informed Sentinel says. */
  const latest = async (): Promise<unknown> => {
    const views = await Promise.all(sentinels.map((node) => node.call("SENTINEL", "MASTER", name).catch(() => undefined)))
    return views
      .filter((view) => view !== undefined)
      .toSorted((a, b) => Number(field(b, "config-epoch")) - Number(field(a, "config-epoch")))[0]
  }
  return {
    nodes,
    primary,
    sentinels,
    url: `redis+sentinel://${password === "" ? "" : `:${password}@`}${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",")}/${name}`,
    epoch: async () => Number(field(await latest(), "config-epoch")),
    named: async () => {
      const port = Number(field(await latest(), "port"))
      const node = nodes.find((one) => one.port === port)
      if (node === undefined) throw new Error("the Sentinels name nobody")
      return node
    },
    setDownMs: async (ms = downMs) =>
      void (await Promise.all(sentinels.map((node) => node.call("SENTINEL", "SET", name, "down-after-milliseconds", ms)))),
    stop: () => stopAll(all, folder),
  }
}
