// Keeps a redis-server exactly as long as its parent lives: when stdin ends (the parent stopped it, or died in any way, SIGKILL too), it
// ends the server and removes the directory. Usage: node redis-guard.mjs <directory> <redis-server arguments…>
import { spawn } from "node:child_process"
import { rmSync } from "node:fs"

const stopTimeoutMs = 5_000
const [directory = "", ...args] = process.argv.slice(2)
const server = spawn("redis-server", args, { stdio: ["ignore", "inherit", "inherit"] })

server.on("error", (error) => {
  console.log(error.message)
  process.exitCode = 1
  cleanUp()
})
server.on("exit", (code) => {
  process.exitCode = code ?? 1
  cleanUp()
})
process.stdin.resume()
process.stdin.on("end", stop)
process.stdin.on("error", stop)
// Nobody may be left to read what the server prints.
process.stdout.on("error", () => {})

function stop() {
  server.kill("SIGTERM")
  setTimeout(() => server.kill("SIGKILL"), stopTimeoutMs).unref()
}

function cleanUp() {
  rmSync(directory, { recursive: true, force: true })
  process.stdin.destroy()
}
