import { BadOption } from "../../errors.ts"
import { withoutPassword } from "../shown.ts"

/** Where a Redis is, as ioredis wants it, and how messages name it. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly db: number
  readonly tls: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  /** The address without user and password. */
  readonly shown: string
}

const form = "redis://[user:password@]host[:port][/db] or rediss://…"

export function parseRedisUrl(text: string): Target {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || (url.protocol !== "redis:" && url.protocol !== "rediss:"))
    throw new BadOption(`expected store to be ${form}, got: ${withoutPassword(text)}`)
  const host = url.hostname.replace(/^\[|\]$/g, "") || "127.0.0.1"
  const port = url.port === "" ? 6379 : Number(url.port)
  const path = url.pathname.replace(/^\//, "")
  if (!/^\d*$/.test(path)) throw new BadOption(`expected the path of the store URL to be a database number as in ${form}, got: "${path}"`)
  if (url.search !== "") throw new BadOption(`expected no "?…" in the store URL: ${form}`)
  const db = Number(path)
  const at = url.hostname === "" ? host : url.hostname
  return {
    host,
    port,
    db,
    tls: url.protocol === "rediss:",
    username: url.username === "" ? undefined : decodeURIComponent(url.username),
    password: url.password === "" ? undefined : decodeURIComponent(url.password),
    shown: `${url.protocol}//${at}:${port}${db === 0 ? "" : `/${db}`}`,
  }
}
