import { connect } from "node:net"
import { once } from "node:events"
import { describe, expect, it } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../with-redis.ts"

describe("uniqueName", () => {
  it("starts with the label and is never the same twice", () => {
    const names = Array.from({ length: 1_000 }, () => uniqueName("pool"))
    expect(new Set(names).size).toBe(1_000)
    for (const name of names) expect(name).toMatch(/^pool-[a-z0-9-]+$/)
  })
})

describeRedis("the Redis of the run", () => {
  it("answers PING", async () => {
    const { hostname, port } = new URL(redisUrl())
    const socket = connect(Number(port), hostname)
    socket.write("PING\r\n")
    const [reply] = await once(socket, "data")
    socket.destroy()
    expect(String(reply)).toBe("+PONG\r\n")
  })
})
