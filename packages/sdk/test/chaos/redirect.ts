/**
 * Loaded before all else in a worker's process and in each of its threads (`--import`): what connects to a server goes to its proxy, as a firewall would
 * have it. The ports of servers and of their proxies are in the address of this module (ways.ts); what else connects is left alone.
 */
import { Socket, type SocketConnectOpts, type TcpSocketConnectOpts } from "node:net"

const table = new URL(import.meta.url).searchParams.get("ways") ?? "[]"
const proxies = new Map(JSON.parse(table) as ReadonlyArray<readonly [server: number, proxy: number]>)

const redirected = (options: SocketConnectOpts): SocketConnectOpts => {
  const proxy = "port" in options ? proxies.get(Number(options.port)) : undefined
  return proxy === undefined ? options : { ...(options as TcpSocketConnectOpts), host: "127.0.0.1", port: proxy }
}

type Connect = (this: Socket, ...args: ReadonlyArray<unknown>) => Socket
const { connect } = Socket.prototype as unknown as { readonly connect: Connect }

/** `net.connect` calls it with a list of its own that it knows again: that list is kept, and its first item changed. */
Socket.prototype.connect = function (this: Socket, ...args: unknown[]): Socket {
  const [first] = args
  if (Array.isArray(first)) first[0] = redirected(first[0] as SocketConnectOpts)
  else if (typeof first === "object" && first !== null) args[0] = redirected(first as SocketConnectOpts)
  else if (typeof first === "number") args[0] = proxies.get(first) ?? first
  return connect.apply(this, args)
} as Connect as typeof Socket.prototype.connect
