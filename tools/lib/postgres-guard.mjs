// Makes a database cluster and keeps its server exactly as long as its parent lives: when stdin ends (the parent stopped it, or died in any
// way, SIGKILL too), it ends what runs and removes the directory.
// Usage: node postgres-guard.mjs <directory, with the superuser's password in the file "password"> <folder of the binaries> <port> [uid gid]
import { spawn } from "node:child_process"
import { once } from "node:events"
import { rmSync } from "node:fs"
import { join } from "node:path"

const stopTimeoutMs = 5_000
const [directory = "", bin = "", port = "", uid, gid] = process.argv.slice(2)
const data = join(directory, "data")
// Postgres refuses to run as root.
const user = uid === undefined ? {} : { uid: Number(uid), gid: Number(gid) }
const commands = [
  ["initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", `--pwfile=${join(directory, "password")}`, "-E", "UTF8", "--no-locale", "--no-sync"], // prettier-ignore
  ["postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"],
]
let stopping = false
/** @type {import("node:child_process").ChildProcess | undefined} */
let running

process.stdin.resume()
process.stdin.on("end", stop)
process.stdin.on("error", stop)
// Nobody may be left to read what the server prints.
process.stdout.on("error", () => {})

try {
  for (const [command = "", ...args] of commands) {
    if (stopping) break
    running = spawn(join(bin, command), args, { ...user, cwd: directory, stdio: ["ignore", process.stdout, process.stdout] })
    const [code] = await once(running, "exit")
    process.exitCode = code ?? 1
    if (code !== 0) break
  }
} catch (error) {
  console.log(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  rmSync(directory, { recursive: true, force: true })
  process.stdin.destroy()
}

function stop() {
  stopping = true
  // Fast shutdown, which does not wait for clients; then the immediate one, after which no process of the server is left either.
  running?.kill("SIGINT")
  setTimeout(() => running?.kill("SIGQUIT"), stopTimeoutMs).unref()
}
