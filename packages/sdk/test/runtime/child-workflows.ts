/** Workflows with children and other jobs. */
import { GoneError, until } from "./fixture.ts"
import type { Workflow, World } from "./world.ts"

/** A child that tells its run, so that one that is started twice shows; what it does follows from its key. */
const helper = (world: World): object => ({
  run: async (job: any) => {
    world.note(`child ${job.key}`, job.run)
    if (job.key.startsWith("bad")) throw new GoneError({ status: 410 })
    if (!job.key.startsWith("wait")) return job.done(await world.step(job, job.key))
    const got: string[] = []
    while (got.at(-1) !== "end") got.push((await job.receive("go")).payload)
    return job.done(got.join(" "))
  },
})
const outcomes = async (client: any, keys: ReadonlyArray<string>): Promise<ReadonlyArray<string>> =>
  Promise.all(
    keys.map((key) =>
      client.helper
        .get(key)
        .result({ timeout: 10_000 })
        .catch((error: any) => error._tag as string),
    ),
  )

export const childWorkflows: ReadonlyArray<Workflow> = [
  {
    name: "children: one after another, at once, with declared errors",
    result: "a b c Gone 410",
    helper,
    handlers: (world) => ({
      run: async (job: any) => {
        const { helper: other } = job.jobs
        const a = await (await other.start({ id: "a" })).result()
        const [b, c] = await Promise.all([other.start({ id: "b" }), other.start({ id: "c" }, { onParentEnd: "abandon" })])
        const both = await Promise.all([b.result(), c.result()])
        await world.step(job, "between")
        const bad = await (await other.start({ id: "bad" })).result().catch((error: any) => `${error._tag} ${error.status}`)
        return job.done([a, ...both, bad].join(" "))
      },
    }),
  },
  {
    name: "another job: refused, joined, signalled in order, awaited twice; a child's key that nobody has",
    result: "RunExists true 1 2 3 end 1 2 3 end RunNotFound",
    helper,
    handlers: () => ({
      run: async (job: any) => {
        const { helper: other } = job.jobs
        const wait = await other.start({ id: "wait" }, { onParentEnd: "terminate" })
        const refused = await other.start({ id: "wait" }, { ifRunning: "reject" }).catch((error: any) => error._tag)
        const joined = (await other.start({ id: "wait" })).run === wait.run
        await Promise.all(["1", "2", "3"].map((text) => wait.signal.go(text)))
        await other.get("wait").signal.go("end")
        const end = await wait.result()
        const again = await other.get("wait").result()
        const lost = await other
          .get("nobody")
          .signal.go("x")
          .catch((error: any) => error._tag)
        return job.done([refused, joined, end, again, lost].join(" "))
      },
    }),
  },
  {
    name: "a parent that waits for long, and for a sleep beside it",
    result: "one end slept",
    helper,
    handlers: (world) => ({
      run: async (job: any) => {
        const child = await job.jobs.helper.start({ id: "wait" })
        await world.step(job, "begun")
        const [end, slept] = await Promise.all([child.result(), job.sleep(20).then(() => "slept")])
        return job.done(`${end} ${slept}`)
      },
    }),
    script: async ({ client, world }) => {
      await until(() => world.seen.has("1.begun"), "it began")
      await client.helper.get("wait").signal.go("one")
      await client.helper.get("wait").signal.go("end")
    },
  },
  {
    name: "a child with labels and a first signal replaces the live run of its key, once",
    result: "true first end OutcomeUnknown",
    helper: (world) => ({
      run: async (job: any) => {
        const got: string[] = []
        while (got.at(-1) !== "end") {
          got.push((await job.receive("go")).payload)
          // the run that is replaced gets none
          world.note("who got the first", job.run)
        }
        return job.done(got.join(" "))
      },
    }),
    handlers: (world) => ({
      run: async (job: any) => {
        const { helper: other } = job.jobs
        const old = await other.start({ id: "wait" }, { onParentEnd: "abandon" })
        await world.step(job, "begun")
        const signal = { name: "go", payload: "first" }
        const child = await other.start({ id: "wait" }, { ifRunning: "replace", labels: { parent: job.key }, signal })
        await child.signal.go("end")
        const lost = await old.result().catch((error: any) => error._tag)
        return job.done([child.run !== old.run, await child.result(), lost].join(" "))
      },
    }),
    after: async (client) => (await client.helper.get("wait").describe()).labels,
  },
  {
    name: "what becomes of children when their parent ends",
    result: "parent",
    helper,
    handlers: (world) => ({
      run: async (job: any) => {
        const { helper: other } = job.jobs
        for (const [id, onParentEnd] of [
          ["wait 1", "cancel"],
          ["wait 2", "terminate"],
          ["wait 3", "abandon"],
          ["done", "cancel"],
        ])
          await other.start({ id }, { onParentEnd })
        await other.get("done").result()
        // one that is ended before a worker takes it tells nothing of itself
        await job.step("all live", () => until(() => ["1", "2", "3"].every((n) => world.seen.has(`child wait ${n}`)), "all children live"))
        return job.done(await world.step(job, "parent"))
      },
    }),
    after: async (client) => {
      const closed = await outcomes(client, ["wait 1", "wait 2", "done"])
      await client.helper.get("wait 3").signal.go("end")
      return [...closed, ...(await outcomes(client, ["wait 3"]))]
    },
  },
  {
    name: "a parent that is terminated while it waits for its children",
    helper,
    handlers: (world) => ({
      run: async (job: any) => {
        const children = await Promise.all(["wait 1", "wait 2"].map((id) => job.jobs.helper.start({ id })))
        await world.step(job, "begun")
        return job.done((await Promise.all(children.map((child) => child.result()))).join(" "))
      },
    }),
    script: async ({ handle, world }) => {
      // a child that is ended before a worker takes it tells nothing of itself
      await until(() => ["1.begun", "child wait 1", "child wait 2"].every((what) => world.seen.has(what)), "all began")
      await handle.terminate("enough")
    },
    after: (client) => outcomes(client, ["wait 1", "wait 2"]),
  },
  {
    name: "a cancel of a parent, which cancels a child and waits for it",
    helper,
    handlers: (world) => ({
      run: async (job: any) => {
        const child = await job.jobs.helper.start({ id: "wait" }, { onParentEnd: "abandon" })
        await world.step(job, "begun")
        try {
          await child.result()
        } finally {
          await child.cancel("no longer")
          const end = await child.result().catch((error: any) => error._tag)
          // the attempt may have ended, and the child not
          if (end !== "Deposed") world.note("child's end", end)
        }
        return job.done("never")
      },
    }),
    script: async ({ handle, world }) => {
      await until(() => world.seen.has("1.begun"), "it began")
      await handle.cancel("enough")
    },
    after: (client) => outcomes(client, ["wait"]),
  },
  {
    name: "a child for each iteration, a failed attempt, a child's error that ends attempts until it is caught",
    result: "x1 x2 Gone x3",
    helper,
    handlers: (world) => ({
      run: async (job: any) => {
        if (job.iteration === 3) {
          const bad = await (await job.jobs.helper.start({ id: "bad" })).result().catch((error: any) => {
            if (job.attempt < 3) throw new Error("wrapped", { cause: error })
            return error._tag
          })
          job.state.log = [...job.state.log, bad]
        }
        const child = await job.jobs.helper.start({ id: `x${job.iteration}` })
        await world.step(job, "s")
        if (job.attempt === 1 && job.iteration === 2) throw new Error("boom")
        job.state.log = [...job.state.log, await child.result()]
        return job.iteration < 3 ? job.again() : job.done(job.state.log.join(" "))
      },
    }),
  },
]
