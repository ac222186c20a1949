/** What the tests' own servers have in common: a container where Docker answers, or a binary under a guard that outlives Ctrl-C and a killed vitest. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer, type AddressInfo } from "node:net"
import { setTimeout as delay } from "node:timers/promises"
import type { StartedTestContainer } from "testcontainers"

export interface OwnServer {
  readonly url: string
  readonly from: string
  readonly stop: () => Promise<void>
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message || error.name : String(error))

/** Undefined where no Docker engine answers, or where it does not start the image: `instead` is what is tried then. */
export async function startContainer<Container extends StartedTestContainer>(
  image: string,
  instead: string,
  start: () => Promise<Container>,
): Promise<{ readonly container: Container; readonly from: string; readonly stop: () => Promise<void> } | undefined> {
  const { getContainerRuntimeClient } = await import("testcontainers")
  const engine = await getContainerRuntimeClient().catch(() => undefined)
  if (!engine) return undefined
  try {
    const container = await start()
    const stop = async (): Promise<void> => {
      await container.stop()
    }
    return { container, from: `container ${image}`, stop }
  } catch (error) {
    console.error(`• Docker answers but ${image} did not start (${messageOf(error)}); trying ${instead}`)
    return undefined
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}

interface Guarded {
  /** `node <guard> <args>`: ends its server when its stdin closes. */
  readonly guard: string
  readonly args: ReadonlyArray<string>
  readonly withinMs: number
  readonly ready: () => Promise<boolean>
}

/** `log`: what it printed, when it did not start; it is stopped then. */
export async function startGuarded({ guard, args, withinMs, ready }: Guarded): Promise<{ stop: () => Promise<void>; log?: string }> {
  // In a process group of its own, the guard sees only its stdin close.
  const server = spawn(process.execPath, [guard, ...args], { stdio: ["pipe", "pipe", "inherit"], detached: true })
  let log = ""
  server.stdout.on("data", (data) => (log = (log + String(data)).slice(-4_000)))
  server.stdin.on("error", () => {})
  const exited = once(server, "exit")
  const stop = async (): Promise<void> => {
    server.stdin.end()
    await exited
  }
  const deadline = performance.now() + withinMs
  while (!(await ready())) {
    if (server.exitCode !== null || performance.now() > deadline) {
      await stop()
      return { stop, log }
    }
    await delay(20)
  }
  return { stop }
}
