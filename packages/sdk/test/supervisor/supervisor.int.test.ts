/** The supervisor with real processes on a file. */
import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { createServer, type AddressInfo, type Server } from "node:net"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { makeClient } from "../../src/gen.ts"
import { supervise, type SupervisorEvent } from "../../src/supervisor/index.ts"
import { shards } from "../pool/settings.ts"
import { until as untilWithin } from "../pool/support.ts"
import { contract } from "../runtime/fixture.ts"
import { isGone, PonosCommand, Shards } from "./command.ts"

const folder = await mkdtemp(join(tmpdir(), "ponos-supervisor-"))
const here = (name: string): string => join(import.meta.dirname, name)
const place = (): [store: string, pool: string] => {
  const name = uniqueName("supervisor")
  return [`file:${join(folder, `${name}.db`)}`, name]
}
afterEach(async () => {
  await Promise.all([...PonosCommand.running].map((one) => one.clear()))
  PonosCommand.running.clear()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** First of some ports in a row that nobody listens on. */
const freePorts = async (count: number): Promise<number> => {
  for (;;) {
    const servers = [createServer()]
    const listen = async (server: Server, port: number): Promise<number> => {
      server.listen(port, "127.0.0.1")
      await once(server, "listening")
      return (server.address() as AddressInfo).port
    }
    try {
      const first = await listen(servers[0] as Server, 0)
      for (let n = 1; n < count; n++) {
        const server = createServer()
        servers.push(server)
        await listen(server, first + n)
      }
      if (first + count < 60_000) return first
    } catch {
      // somebody is there: other ones
    } finally {
      for (const server of servers) server.close()
    }
  }
}

/** Each process takes a second or more of a busy machine to load. */
const until = (condition: () => boolean, what: string): Promise<void> => untilWithin(condition, what, 60_000)
const covered = (command: PonosCommand, processes: number) => (): boolean =>
  command.shards.of.size === processes && command.shards.counts().every((count) => count > 0) && command.shards.covered() === shards

/** A process that comes after a drain claims what is free; after a crash it would have to rescue. */
const expectReleased = async (store: string, pool: string): Promise<void> => {
  const next = new PonosCommand(here("options-module.ts"), "--", store, pool)
  await until(covered(next, 1), "another process has all shards")
  expect(next.shards.rescued).toBe(0)
  next.child.kill("SIGTERM")
  expect(await next.ended).toBe(0)
}

test("several processes share the shards; one that is killed is started again; SIGTERM drains all", async () => {
  const [store, pool] = place()
  const command = new PonosCommand(here("options-module.ts"), "--processes", "3", "--restart-first", "10ms", "--", store, pool)
  await until(covered(command, 3), "three processes share all shards")
  expect(command.out.filter((line) => line.endsWith(" of 3")).sort()).toEqual(["1 | 1 of 3", "2 | 2 of 3", "3 | 3 of 3"])
  const first = String(command.pids.get(1))
  expect(execFileSync("ps", ["-o", "args=", "-p", first], { encoding: "utf8" })).toContain("--max-semi-space-size=32")

  const victim = command.pids.get(2) ?? 0
  process.kill(victim, "SIGKILL")
  await until(() => command.pids.get(2) !== undefined && command.pids.get(2) !== victim, "it is started again")
  await until(covered(command, 3), "the three share all shards again")
  expect(command.err.join("\n")).toMatch(
    /worker 2 ended by SIGKILL after [\d.]+ s\nponos: worker 2 restarts in 10 ms\nponos: worker 2 started/,
  )

  command.child.kill("SIGTERM")
  expect(await command.ended).toBe(0)
  expect(command.everyPid).toHaveLength(4)
  expect(command.everyPid.every(isGone)).toBe(true)
  expect(command.err).toContain("ponos: got SIGTERM, draining 3 processes")
  expect(command.err.filter((line) => /exited with code 0 after/.test(line))).toHaveLength(3)
  await expectReleased(store, pool)
})

test("a module that starts its worker while it loads goes on after the drain, and may leave something open", async () => {
  const [store, pool] = place()
  const command = new PonosCommand(here("starting-module.ts"), "--processes", "2", "--", store, pool)
  await until(covered(command, 2), "two processes share all shards")
  // as systemd does: the processes get the signal too, and must not take their supervisor's word for a second one
  for (const pid of command.pids.values()) process.kill(pid, "SIGTERM")
  command.child.kill("SIGTERM")
  expect(await command.ended).toBe(0)
  expect(command.out).toEqual(expect.arrayContaining(["1 | told to end", "1 | stopped", "2 | told to end", "2 | stopped"]))
})

test("processes of a supervisor that was killed drain and end", async () => {
  const [store, pool] = place()
  const command = new PonosCommand(here("options-module.ts"), "--processes", "2", "--", store, pool)
  await until(covered(command, 2), "two processes share all shards")
  command.child.kill("SIGKILL")
  await until(() => command.everyPid.every(isGone), "they are gone")
  await expectReleased(store, pool)
})

test.each([
  ["a second signal", "600s", true],
  ["the deadline", "100ms", false],
])("%s ends processes that do not drain, and the exit code says so", async (_, drain, again) => {
  const [store, pool] = place()
  const command = new PonosCommand(here("options-module.ts"), "--drain", drain, "--", store, pool, "hang")
  const client = makeClient({ pool, store, shards }, { sample: contract }) as unknown as {
    sample: { start(input: object): Promise<unknown> }
    close(): Promise<void>
  }
  await until(covered(command, 1), "the process has all shards")
  await client.sample.start({ id: "hangs" })
  await client.close()
  await until(() => command.out.includes("1 | running"), "its handler runs")
  command.child.kill("SIGINT")
  await until(() => command.err.includes("ponos: got SIGINT, draining 1 process"), "it drains")
  if (again) command.child.kill("SIGINT")
  expect(await command.ended).toBe(1)
  expect(command.everyPid.every(isGone)).toBe(true)
  expect(command.err).toContain(`ponos: ${again ? "got SIGINT again" : "not drained after 100 ms"}, killing 1 process`)
})

test("a process whose loop a step blocks is ended by its lease thread, which says whose step it is (S5)", async () => {
  const [store, pool] = place()
  const command = new PonosCommand(here("options-module.ts"), "--restart-first", "60s", "--", store, pool, "block")
  const client = makeClient({ pool, store, shards }, { sample: contract }) as unknown as {
    sample: { start(input: object): Promise<unknown> }
    close(): Promise<void>
  }
  await until(covered(command, 1), "the process has all shards")
  await client.sample.start({ id: "acme" })
  await client.close()
  await until(() => command.err.some((line) => line.includes("worker 1 ended by SIGKILL")), "it is ended")
  const said = command.err.join("\n")
  // Node 22 knows only what was begun last, which is the same here.
  expect(said).toMatch(/blocked for \d+ ms by sample\/acme, step "charge" at blockLoop \(file:.*options-module\.ts:\d+:\d+\)/)
  expect(said).toMatch(
    /ends this process \(SIGKILL\): its lease is over, and its event loop, blocked by sample\/acme, step "charge" at blockLoop/,
  )
})

test("a module that always fails ends the supervisor with its error", async () => {
  const module = join(folder, "throws.ts")
  await writeFile(module, `throw new Error("no such luck" as string)\n`)
  const command = new PonosCommand(module, "--start-tries", "3", "--restart-first", "10ms")
  expect(await command.ended).toBe(1)
  expect(command.everyPid).toHaveLength(3)
  expect(command.err.at(-1)).toMatch(/^ponos: WorkersFailed .* worker 1 ended 3 times in a row \(Error: no such luck\)/)
})

test.each([
  ["exports nothing", "export {}", "no worker and no exports"],
  ["exports something else", "export const job = 1", "no worker, and the exports job"],
  ["exports a number", "export const worker = 1", "number"],
  ["exports a function of nothing", "export default () => undefined", "a function that returned no options and started no worker"],
  ["exports wrong options", `export const worker = { pool: "p", concurency: 1 }`, "`concurency` (did you mean concurrency?)"],
])("a module that %s is refused at the first try, with what to do", async (name, text, got) => {
  const module = join(folder, `${name.replaceAll(" ", "-")}.mjs`)
  await writeFile(module, text)
  const command = new PonosCommand(module)
  expect(await command.ended).toBe(1)
  expect(command.everyPid).toHaveLength(1)
  expect(command.err.at(-1)).toContain("ended at its start")
  expect(command.err.at(-1)).toContain(got)
})

test("a store that is away is told in one line a try, without a stack", async () => {
  const command = new PonosCommand(here("starting-module.ts"), "--start-tries", "1", "--", "redis://127.0.0.1:1", uniqueName("away"))
  expect(await command.ended).toBe(1)
  expect(command.err.filter((line) => line.includes("could not be reached")).every((line) => line.startsWith("ponos: "))).toBe(true)
  expect(command.err.at(-1)).toMatch(/^ponos: WorkersFailed .* redis:\/\/127\.0\.0\.1:1 could not be reached within 5000 ms/)
  expect(command.err.filter((line) => /^ *1 \| +at /.test(line))).toEqual([])
})

test("a module that waits for something before it starts its worker is told of, and ends at the first signal", async () => {
  const module = join(folder, "waits.mjs")
  await writeFile(module, "setInterval(() => {}, 1_000)\nawait new Promise(() => {})\n")
  const command = new PonosCommand(module, "--healthy", "200ms")
  await until(() => command.err.some((line) => line.includes("has joined no pool after 0.2 s")), "it is told")
  command.child.kill("SIGTERM")
  expect(await command.ended).toBe(0)
})

test("wrong arguments are refused before any process is started", async () => {
  const module = here("options-module.ts")
  const refusals: ReadonlyArray<readonly [string, ...ReadonlyArray<string>]> = [
    ["expected processes to be an integer from 1 to 256 (count), got: 0", module, "--processes", "0"],
    ["expected --drain to be a duration", module, "--drain", "soon"],
    ["expected restartMaxMs to be at least restartFirstMs (500), got: 100", module, "--restart-max", "100"],
    ["missing.ts, which does not exist. Give the path", join(folder, "missing.ts")],
    ["which is not a file", folder],
    ["expected --metrics-host to come with --metrics-port", module, "--metrics-host", "::"],
    ["expected metrics.port to be an integer from 1 to 65280, got: 0", module, "--metrics-port", "0"],
  ]
  for (const [words, ...args] of refusals) {
    const command = new PonosCommand(...args)
    expect(await command.ended).toBe(1)
    expect(command.err.join("\n")).toContain(words)
    expect(command.everyPid).toEqual([])
  }
})

test("as a call: tells what happens, shows its processes, stops", async () => {
  const [store, pool] = place()
  const events: Array<SupervisorEvent> = []
  const owned = new Shards()
  const supervisor = await supervise({
    module: here("options-module.ts"),
    args: [store, pool],
    processes: 2,
    signals: false,
    onEvent: (event) => events.push(event),
    onLine: (line, number) => owned.line(number, line),
  })
  try {
    await until(() => owned.of.size === 2 && owned.covered() === shards, "two processes share all shards")
    await until(() => supervisor.processes().every(({ phase }) => phase === "running"), "both say that they run")
    expect(supervisor.processes().map(({ number, restarts }) => [number, restarts])).toEqual([
      [1, 0],
      [2, 0],
    ])
    expect(await supervisor.stop()).toEqual({ clean: true })
    expect(await supervisor.stopped).toEqual({ clean: true })
    expect(supervisor.processes().map(({ phase, pid }) => [phase, pid])).toEqual([
      ["gone", undefined],
      ["gone", undefined],
    ])
    expect(events.map(({ type }) => type)).toEqual(["started", "started", "ready", "ready", "draining", "exited", "exited"])
  } finally {
    await supervisor.kill()
  }
})

test("scales: starts what lacks, drains what is too many; each process has its metrics", async () => {
  const [store, pool] = place()
  const events: Array<SupervisorEvent> = []
  const owned = new Shards()
  const port = await freePorts(3)
  const metrics = async (number: number): Promise<string> => await (await fetch(`http://127.0.0.1:${port + number - 1}/metrics`)).text()
  const supervisor = await supervise({
    module: here("options-module.ts"),
    args: [store, pool],
    metrics: { port },
    signals: false,
    onEvent: (event) => {
      events.push(event)
      if (event.type === "exited") owned.of.delete(event.number)
    },
    onLine: (line, number) => owned.line(number, line),
  })
  const shared = (processes: number) => (): boolean =>
    owned.of.size === processes && owned.counts().every((count) => count > 0) && owned.covered() === shards
  try {
    await until(shared(1), "one process has all shards")
    const [first] = supervisor.processes()
    supervisor.scale(3)
    await until(shared(3), "three processes share all shards")
    await expect.poll(() => metrics(3)).toMatch(new RegExp(`ponos_shards_claimed_total\\{pool="${pool}",group="default"\\} [1-9]`))
    supervisor.scale(1)
    expect(supervisor.processes().map(({ phase }) => phase)).toEqual(["running", "leaving", "leaving"])
    await until(() => supervisor.processes().length === 1, "two have left")
    await until(shared(1), "the first has all shards again")
    expect(supervisor.processes()).toEqual([first])
    expect(await metrics(1)).toContain("ponos_shards_released_total")
    const exits = events.filter((event) => event.type === "exited")
    expect(exits.map(({ number, code }) => [number, code]).toSorted(([a = 0], [b = 0]) => (a ?? 0) - (b ?? 0))).toEqual([
      [2, 0],
      [3, 0],
    ])
    expect(owned.rescued, "they handed over").toBe(0)
    expect(() => supervisor.scale(-1)).toThrow("expected scale to get a number of processes from 0 to 256, got: -1")
    expect(await supervisor.stop()).toEqual({ clean: true })
  } finally {
    await supervisor.kill()
  }
})

test("the main entry loads neither the command nor its platform", () => {
  const script = `
    import { registerHooks } from "node:module"
    const loaded = []
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
    await import("@ponos/sdk")
    console.log(loaded.filter((url) => /platform-node|effect.*cli|supervisor|sdk.src.(cli|bin)/.test(url)).join())`
  const args = ["--conditions=source", "--input-type=module", "-e", script]
  expect(execFileSync(process.execPath, args, { cwd: import.meta.dirname, encoding: "utf8" })).toBe("\n")
})
