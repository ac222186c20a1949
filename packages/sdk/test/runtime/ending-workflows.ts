/** Workflows that end in every way. */
import { retry } from "../../src/define/index.ts"
import { GoneError, until } from "./fixture.ts"
import type { Script, Workflow } from "./world.ts"

const taken = ({ handle }: Script): Promise<unknown> => until(async () => (await handle.describe()).phase !== "ready", "the run is taken")
export const endingWorkflows: ReadonlyArray<Workflow> = [
  {
    name: "cancel with clean-up",
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, "begin")
        try {
          await job.receive("stop")
        } finally {
          await world.step(job, "clean")
          await job.sleep(1)
          await world.step(job, "clean more")
        }
        return job.done("never")
      },
    }),
    script: async ({ handle, world }) => {
      await until(() => world.seen.has("1.begin"), "it began")
      await handle.cancel("enough")
    },
  },
  {
    name: "a cancel during a step, told by the next wait, and a clean-up that waits and is tried again",
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, "begin")
        const works = (signal: AbortSignal): Promise<number> => {
          world.does("works")
          return new Promise((resolve) =>
            signal.aborted ? resolve(1) : signal.addEventListener("abort", () => resolve(1), { once: true }),
          )
        }
        await job.step("works", works)
        try {
          await job.sleep("1 day")
        } catch (error) {
          world.note("told", (error as { _tag: string })._tag)
        }
        await job.sleep(1)
        await world.step(job, "clean", (count) => count === 1, { retry: retry.fixed({ every: 1 }) })
        await job.receive("stop", { timeout: 1 })
        throw new Error("nothing else to do")
      },
    }),
    script: async ({ handle, world }) => {
      await until(() => world.ran.has("works"), "it works")
      await handle.cancel("enough")
    },
  },
  {
    name: "a declared error",
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, "s")
        throw new GoneError({ status: 410 })
      },
    }),
  },
  {
    name: "a saga undone by a declared error",
    handlers: (world) => ({
      run: async (job: any) => {
        await job.saga(async (saga: any) => {
          for (const name of ["car", "room"]) {
            await world.step(job, name)
            saga.undo(name, () => void world.does(`undo ${name}`))
          }
          throw new GoneError({ status: 409 })
        })
        return job.done("never")
      },
    }),
  },
  {
    name: "a limit in time, with clean-up",
    timeout: { iteration: 400 },
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, "begin")
        try {
          await job.receive("stop")
        } finally {
          await world.step(job, "clean")
          await world.step(job, "clean more")
        }
        return job.done("never")
      },
    }),
  },
  {
    name: "a saga undone by the last attempt",
    handlers: (world) => ({
      run: async (job: any) => {
        await job.saga(async (saga: any) => {
          await world.step(job, "car")
          saga.undo("car", () => void world.does("undo car"))
          throw new Error("no room")
        })
        return job.done("never")
      },
    }),
  },
  {
    name: "a saga undone by a cancel",
    handlers: (world) => ({
      run: async (job: any) =>
        job.saga(async (saga: any) => {
          await world.step(job, "car")
          saga.undo("car", () => void world.does("undo car"))
          await job.receive("stop")
          return job.done("never")
        }),
    }),
    script: async ({ handle, world }) => {
      await until(() => world.seen.has("1.car"), "the car is booked")
      await handle.cancel("enough")
    },
  },
  {
    name: "a declared error after an update was answered, which stays",
    handlers: (world) => ({
      run: async (job: any) => {
        job.state.log = ["lost"]
        await job.receive("stop")
        await world.step(job, "s")
        throw new GoneError({ status: 410 })
      },
      updates: { add: (job: any, by: number) => (job.state.count += by) },
    }),
    script: async (script) => {
      await taken(script)
      script.world.note("answer", String(await script.handle.update.add(3)))
      await script.handle.signal.stop()
    },
    after: async (client) => {
      const { state } = await client.sample.get("key").describe()
      return state.count
    },
  },
  {
    name: "a run that is terminated",
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, "begin")
        await job.receive("stop")
        return job.done("never")
      },
    }),
    script: async ({ handle, world }) => {
      await until(() => world.seen.has("1.begin"), "it began")
      await handle.terminate("enough")
    },
  },
  {
    name: "starts beside a live run and beside an ended one: joined, rejected, anew",
    result: "first",
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, `begin ${job.input.limit}`)
        if (job.input.limit === 1) await job.receive("stop")
        return job.done(job.input.limit === 1 ? "first" : "second")
      },
    }),
    script: async (script) => {
      const { handle, client, world } = script
      await taken(script)
      const { run } = await handle.describe()
      const joined = await client.sample.start({ id: "key", limit: 2 })
      world.note("joined", String((await joined.describe()).run === run))
      const refused = await client.sample.start({ id: "key", limit: 2 }, { ifRunning: "reject" }).catch((error: any) => error._tag)
      world.note("refused", refused)
      await handle.signal.stop()
    },
    after: async (client) => {
      const refused = await client.sample.start({ id: "key", limit: 2 }, { ifEnded: "reject" }).catch((error: any) => error._tag)
      const second = await client.sample.start({ id: "key", limit: 2 })
      return [refused, await second.result({ timeout: 20_000 })]
    },
  },
  {
    name: "a live run that is replaced",
    result: "second",
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, `begin ${job.input.limit}`)
        if (job.input.limit === 1) await job.receive("stop")
        return job.done(job.input.limit === 1 ? "first" : "second")
      },
    }),
    script: async ({ client, world }) => {
      await until(() => world.seen.has("1.begin 1"), "it began")
      await client.sample.start({ id: "key", limit: 2 }, { ifRunning: "replace" })
    },
  },
  {
    name: "the end answers updates, lists unread signals",
    result: "end",
    handlers: (world) => ({
      run: async (job: any) => {
        await job.receive("stop")
        await world.step(job, "s")
        return job.done("end")
      },
    }),
    script: async (script) => {
      const { handle } = script
      await taken(script)
      await handle.signal.note("unread")
      await handle.signal.stop()
    },
  },
]
