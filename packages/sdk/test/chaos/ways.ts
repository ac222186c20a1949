/** The ways of one worker to the servers of its store: a proxy before each, through which all connections of its process go (redirect.ts). */
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { type Direction, Losses, type TcpProxy, tcpProxy } from "../pool/tcp-proxy.ts"

/** Ports of all servers that a worker may ask. */
export interface Servers {
  /** That have keys, now or after a failover. */
  readonly data: ReadonlyArray<number>
  readonly sentinels: ReadonlyArray<number>
}

export class Ways {
  readonly #proxies: ReadonlyMap<number, TcpProxy>
  /** Of those that have keys: what a Sentinel answers has changed nothing. */
  readonly #losses: Losses

  private constructor(proxies: ReadonlyMap<number, TcpProxy>, losses: Losses) {
    this.#proxies = proxies
    this.#losses = losses
  }

  static async open({ data, sentinels }: Servers): Promise<Ways> {
    const losses = new Losses()
    const open = async (port: number, of: Losses) => [port, await tcpProxy(port, of)] as const
    const proxies = await Promise.all([...data.map((port) => open(port, losses)), ...sentinels.map((port) => open(port, new Losses()))])
    return new Ways(new Map(proxies), losses)
  }

  /** What the worker's process must find in its environment. Threads of the SDK have options of their own, and this one. */
  get env(): Readonly<Record<string, string>> {
    const preload = pathToFileURL(join(import.meta.dirname, "redirect.ts"))
    preload.searchParams.set("ways", JSON.stringify([...this.#proxies].map(([server, { port }]) => [server, port])))
    return { NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} --import=${preload.href}`.trim() }
  }

  /** Ends of the connections that go to this server now, as it sees them. */
  addresses(server: number): ReadonlyArray<string> {
    return this.#proxies.get(server)?.addresses ?? []
  }

  #each(hurt: (proxy: TcpProxy) => void): void {
    for (const proxy of this.#proxies.values()) hurt(proxy)
  }

  cut(direction?: Direction): void {
    this.#each((proxy) => proxy.cut(direction))
  }

  slow(ms: number): void {
    this.#each((proxy) => proxy.slow(ms))
  }

  drop(): void {
    this.#each((proxy) => proxy.drop())
  }

  loseReplies(count: number): void {
    this.#losses.left = count
  }

  get lost(): number {
    return this.#losses.count
  }

  heal(): void {
    this.#each((proxy) => proxy.heal())
  }

  async close(): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.close()))
  }
}
