/** Starts three workers in processes of their own and asks them for thirty numbers. Exits with 0 only if all answers are right. */
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { Pool } from "@ponos/sdk/pool"
import { ask, keyOf } from "./client.ts"

const workers = ["w1", "w2", "w3"]
const keys = 30
const startMs = 8_000

const folder = await mkdtemp(join(tmpdir(), "ponos-fibonacci-"))
process.env["PONOS_STORE"] ||= `file:${join(folder, "pool.db")}`

const start = (name: string): ChildProcess =>
  spawn(process.execPath, [...process.execArgv, join(import.meta.dirname, "worker.ts"), name], { stdio: "inherit" })

/** Waits until every worker owns some of the keys. */
const spread = async (children: ReadonlyArray<ChildProcess>): Promise<void> => {
  const pool = await Pool.join("fibonacci")
  const end = performance.now() + startMs
  try {
    for (;;) {
      const owners = await Promise.all(Array.from({ length: keys }, (_, i) => pool.owner(keyOf(i))))
      const pids = new Set(owners.map((owner) => owner?.pid))
      if (children.every(({ pid }) => pids.has(pid)) && pids.size === children.length) return
      if (children.some(({ exitCode }) => exitCode !== null)) throw new Error("a worker ended before it owned a key")
      if (performance.now() > end) throw new Error(`the workers did not share the keys within ${startMs} ms`)
      await delay(20)
    }
  } finally {
    await pool.close()
  }
}

const children: Array<ChildProcess> = []
let ok = false
try {
  for (const name of workers) children.push(start(name))
  await spread(children)
  const answers = await ask(keys)
  for (const { key, n, number, worker, right } of answers) {
    console.log(`${worker}  ${key.padEnd(6)}  fibonacci(${String(n).padStart(2)}) = ${number}${right ? "" : "  WRONG"}`)
  }
  const shares = workers.map((name) => answers.filter(({ worker }) => worker === name).length)
  console.log(workers.map((name, i) => `${name}: ${shares[i]} keys`).join(", "))
  ok = answers.length === keys && answers.every(({ right }) => right) && shares.every((share) => share > 0)
} finally {
  const codes = await Promise.all(
    children.map(async (child) => {
      const exited = child.exitCode === null ? once(child, "exit") : undefined
      child.kill("SIGTERM")
      await exited
      return child.exitCode
    }),
  )
  ok &&= codes.every((code) => code === 0)
  await rm(folder, { recursive: true, force: true })
}
console.log(ok ? "all right" : "not all right")
process.exitCode = ok ? 0 : 1
