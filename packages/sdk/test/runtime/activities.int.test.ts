import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { expect, test } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import { startPool, until } from "./fixture.ts"

describeRedis("activities on Redis", () => {
  test("an activity whose worker was killed fails its try, and the next one runs elsewhere, long before its deadline", async () => {
    const name = uniqueName("activities")
    const pool = startPool(redisUrl(), name)
    const child = spawn(process.execPath, ["--conditions=source", join(import.meta.dirname, "hanging-activity.ts"), redisUrl(), name], {
      stdio: ["ignore", "pipe", "inherit"],
    })
    try {
      let said = ""
      child.stdout.on("data", (data: Buffer) => (said += data.toString()))
      await until(() => said.includes("ready"), "the other process serves activities")
      await pool.worker({ run: async (job: any) => job.done(await job.activities.shout("hi")) })
      const handle = await pool.client.sample.start({ id: "killed" })
      await until(() => said.includes("taken"), "the other process took the activity")
      child.kill("SIGKILL")
      await once(child, "exit")
      await pool.worker({}, { jobs: [], activities: { shout: (call: any, input: string) => `${input} ${call.attempt}` } })
      // the try's own deadline is 5 seconds after 5 minutes of waiting: only the report of its loss is faster
      expect(await handle.result({ timeout: 30_000 })).toBe("hi 2")
    } finally {
      child.kill("SIGKILL")
      await pool.close()
    }
  })
})
