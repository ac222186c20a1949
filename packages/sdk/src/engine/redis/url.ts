/** The address of a Redis, a Sentinel or a cluster, as users write it. Nothing is asked here: what answers there tells what it is. */
import { readFileSync } from "node:fs"
import { isIP } from "node:net"
import { BadOption } from "../../errors.ts"
import { withoutPassword } from "../shown.ts"

export interface Place {
  readonly host: string
  readonly port: number
}

/** Contents of files, so that an address can be sent to a thread. */
export interface Tls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** One server, as ioredis wants it, and how messages name it. */
export interface Target extends Place {
  readonly db: number
  readonly tls: Tls | undefined
  /** The name that its certificate shall have, where it differs from `host`. */
  readonly servername?: string | undefined
  readonly username: string | undefined
  readonly password: string | undefined
  /** The address without user and password. */
  readonly shown: string
}

export interface Address {
  /** Servers of Redis, several of a cluster; or, with `master`, Sentinels. */
  readonly places: readonly [Place, ...Place[]]
  /** The name by which the Sentinels know the primary. */
  readonly master: string | undefined
  readonly db: number
  readonly tls: Tls | undefined
  readonly username: string | undefined
  readonly password: string | undefined
  readonly shown: string
}

const serverForm = "redis://[user:password@]host[:port][,host:port…][/db] or rediss://…"
const sentinelForm = "redis+sentinel://[user:password@]host[:port][,host:port…]/<name of the primary>[/db] or rediss+sentinel://…"
/** Files of TLS: of the authority, and of this client where the server wants to see a certificate. */
const tlsFiles = ["ca", "cert", "key"] as const

const parts = /^(rediss?)(\+sentinel)?:\/\/(?:(.*)@)?([^/?#@]*)(\/[^?#]*)?(?:\?(.*))?$/is

const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host)
export const placeText = ({ host, port }: Place): string => `${bracketed(host)}:${port}`

export function parseRedisUrl(text: string): Address {
  const [all, scheme = "", sentinel, login = "", hosts = "", path = "", query = ""] = parts.exec(text) ?? []
  const form = sentinel === undefined ? serverForm : sentinelForm
  const refuse = (): never => {
    throw new BadOption(`expected store to be ${form}, got: ${withoutPassword(text)}`)
  }
  if (all === undefined || (login !== "" && hosts === "")) return refuse()
  const tls = scheme.toLowerCase() === "rediss"
  const [first, ...others] = hosts.split(",").map((host) => parsePlace(host, sentinel === undefined ? 6379 : 26_379) ?? refuse())
  const places = [first ?? refuse(), ...others] as const
  const { master, db } = parsePath(path, sentinel !== undefined)
  const colon = login.indexOf(":")
  const decode = (part: string): string | undefined => {
    try {
      return part === "" ? undefined : decodeURIComponent(part)
    } catch {
      return refuse()
    }
  }
  const under = [master, db === 0 ? undefined : db].filter((part) => part !== undefined).join("/")
  return {
    places,
    master,
    db,
    tls: readTls(query, tls),
    username: decode(colon < 0 ? login : login.slice(0, colon)),
    password: decode(colon < 0 ? "" : login.slice(colon + 1)),
    shown: `${scheme.toLowerCase()}${sentinel ?? ""}://${places.map(placeText).join(",")}${under === "" ? "" : `/${under}`}`,
  }
}

function parsePlace(text: string, port: number): Place | undefined {
  // A URL of its own, so that names, IPv6 and ports are what they are everywhere.
  const url = text === "" ? "redis://127.0.0.1" : `redis://${text}`
  if (!URL.canParse(url)) return undefined
  const { hostname, port: given } = new URL(url)
  return { host: hostname.replace(/^\[|\]$/g, "") || "127.0.0.1", port: given === "" ? port : Number(given) }
}

function parsePath(path: string, sentinel: boolean): { readonly master: string | undefined; readonly db: number } {
  const steps = path.split("/").slice(1)
  const master = sentinel ? decodeURIComponent(steps.shift() ?? "") : undefined
  if (master === "") throw new BadOption(`expected the store URL to name the primary that the Sentinels watch, as in ${sentinelForm}`)
  const [db = "", ...rest] = steps
  if (rest.length > 0 || !/^\d*$/.test(db)) {
    const form = sentinel ? sentinelForm : serverForm
    throw new BadOption(
      `expected the path of the store URL to be ${sentinel ? "a primary's name and " : ""}a database number as in ${form}, got: "${path}"`,
    )
  }
  return { master, db: Number(db) }
}

function readTls(query: string, tls: boolean): Tls | undefined {
  const given = new URLSearchParams(query)
  for (const name of given.keys()) {
    if (tls && (tlsFiles as ReadonlyArray<string>).includes(name)) continue
    throw new BadOption(
      `expected no "?…" in the store URL but the files of TLS, as in rediss://host?ca=/etc/ca.pem&cert=/etc/client.pem&key=/etc/client.key, got: "${name}"`,
    )
  }
  if (!tls) return undefined
  const files: { -readonly [K in keyof Tls]: Tls[K] } = {}
  for (const name of tlsFiles) {
    const path = given.get(name)
    if (path === null) continue
    try {
      files[name] = readFileSync(path, "utf8")
    } catch (error) {
      throw new BadOption(`expected ${name} in the store URL to be a file that can be read, got: "${path}" (${String(error)})`)
    }
  }
  return files
}

/** A server of the address. `hostname`: as the server says it is called, where `place` is a number. */
export function targetAt(address: Address, place: Place, hostname = ""): Target {
  const { db, tls, username, password } = address
  const shown = `${tls ? "rediss" : "redis"}://${placeText(place)}${db === 0 ? "" : `/${db}`}`
  // A number is no name of TLS: Node then compares it with the numbers in the certificate.
  const servername = isIP(place.host) === 0 ? place.host : hostname
  return { host: place.host, port: place.port, db, tls, servername: servername === "" ? undefined : servername, username, password, shown }
}
