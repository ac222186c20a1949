import { expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { Pool, type Job, type PoolJoinOptions, type Worker } from "../../src/pool/index.ts"
import { describeStores, fast, shards, until } from "./support.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (some: Uint8Array): string => new TextDecoder().decode(some)

/** Runs a worker's loop and keeps its jobs; settles those that are aborted, as well-behaved code does. */
const collect = (worker: Worker, abortSignal?: AbortSignal) => {
  const jobs = new Map<string, Job>()
  const aborted: Array<{ readonly key: string; readonly tag: string }> = []
  const ended = (async () => {
    for await (const job of worker.jobs(abortSignal === undefined ? {} : { abortSignal })) {
      jobs.set(job.key, job)
      job.abortSignal.addEventListener("abort", () => {
        const reason = job.abortSignal.reason as { readonly _tag: string }
        aborted.push({ key: job.key, tag: reason._tag })
        if (jobs.get(job.key) === job) jobs.delete(job.key)
        job.settle()
      })
    }
  })()
  return { jobs, aborted, ended }
}

describeStores("the low-level pool", (url) => {
  const join = (name: string, given: PoolJoinOptions = {}) => Pool.join(name, { store: url(), shards, ...fast, ...given })

  test("dispatches, notifies, ends with a result, and is free for the next job of the key", async () => {
    const pool = await join(uniqueName("api"))
    try {
      const { jobs } = collect(await pool.addWorker())
      const first = await pool.dispatch("acme", bytes("hello"))
      expect(first.status).toBe("started")
      expect(await pool.dispatch("acme", bytes("again"))).toEqual({ status: "running", run: first.run })
      await until(() => jobs.has("acme"), "the job is there")
      const job = jobs.get("acme")!
      expect(text(job.payload)).toBe("hello")
      for (const note of ["one", "two", "three"]) await pool.notify("acme", bytes(note))
      const notes: Array<string> = []
      for await (const note of job.notifications()) if (notes.push(text(note)) === 3) break
      expect(notes).toEqual(["one", "two", "three"])
      const waiting = pool.result("acme", { run: first.run })
      await job.done(bytes("bye"))
      expect(text(await waiting)).toBe("bye")
      jobs.clear()
      expect((await pool.dispatch("acme", bytes("next"))).status).toBe("started")
      await until(() => jobs.has("acme"), "the next job is there")
      expect(jobs.get("acme")!.fence).toBeGreaterThan(job.fence)
      await expect(job.done()).rejects.toMatchObject({ _tag: "Terminated" })
    } finally {
      await pool.close()
    }
  })

  test("stops a job: its signal fires, it has no result, and the key is free", async () => {
    const pool = await join(uniqueName("api"))
    try {
      const { jobs, aborted } = collect(await pool.addWorker())
      await pool.dispatch("acme", bytes("x"))
      await until(() => jobs.has("acme"), "the job is there")
      expect(await pool.stop("acme")).toBe(true)
      await until(() => aborted.length === 1, "it is aborted")
      expect(aborted).toEqual([{ key: "acme", tag: "Terminated" }])
      expect(await pool.stop("acme")).toBe(false)
      await expect(pool.result("acme")).rejects.toMatchObject({ _tag: "Terminated" })
      await expect(pool.notify("acme", bytes("x"))).rejects.toMatchObject({ _tag: "RunNotFound" })
      await pool.dispatch("acme", bytes("y"))
      await until(() => text(jobs.get("acme")?.payload ?? bytes("")) === "y", "the next job is there")
    } finally {
      await pool.close()
    }
  })

  test("moves jobs, with what they have not read, to another worker when theirs stops or dies", async () => {
    const name = uniqueName("api")
    const pool = await join(name)
    const other = await join(name)
    try {
      const [first, second] = [await pool.addWorker(), await other.addWorker()]
      await until(() => first.shards().length === 8 && second.shards().length === 8, "both hold their half")
      const [a, b] = [collect(first), collect(second)]
      const all = Array.from({ length: 20 }, (_, i) => `key-${i}`)
      await Promise.all(all.map((key) => pool.dispatch(key, bytes(key))))
      await until(() => a.jobs.size + b.jobs.size === 20, "all run")
      for (const key of all) expect((await pool.owner(key))?.session).toBe((a.jobs.has(key) ? first : second).id)
      await Promise.all(all.map((key) => pool.notify(key, bytes("note"))))
      const moved = [...a.jobs.keys()]
      expect(moved.length).toBeGreaterThan(0)
      await first.stop()
      await a.ended
      await until(() => b.jobs.size === 20, "the second runs all")
      expect(a.aborted.every(({ tag }) => tag === "Deposed")).toBe(true)
      const { value } = await b.jobs.get(moved[0]!)!.notifications().next()
      expect(text(value as Uint8Array)).toBe("note")
      const third = await pool.addWorker()
      const c = collect(third)
      second.kill()
      await until(() => c.jobs.size === 20, "the third runs all")
      const listed = new Map<string, string>()
      for await (const { key, status } of pool.jobs()) listed.set(key, status)
      expect(listed).toEqual(new Map(all.map((key) => [key, "running"])))
    } finally {
      await pool.close()
      await other.close()
    }
  })

  test("a program that only dispatches needs no worker; its jobs wait for one", async () => {
    const name = uniqueName("api")
    const client = await join(name)
    try {
      await client.dispatch("acme", bytes("x"))
      await client.notify("acme", bytes("y"))
      expect(await client.owner("acme")).toBeUndefined()
      const listed = []
      for await (const job of client.jobs()) listed.push({ ...job, payload: text(job.payload) })
      expect(listed).toEqual([{ key: "acme", payload: "x", status: "waiting" }])
      await expect(client.result("acme", { timeoutMs: 30 })).rejects.toMatchObject({ _tag: "WaitTimeout" })
      const pool = await join(name)
      const { jobs } = collect(await pool.addWorker({ group: "eu" }))
      await until(() => jobs.has("acme"), "the job is there")
      expect(await client.groupOf("acme")).toBe("eu")
      await pool.close()
    } finally {
      await client.close()
    }
  })

  test("ends the loop with its signal, keeps the jobs that it has, and takes no new ones", async () => {
    const name = uniqueName("api")
    const pool = await join(name)
    try {
      const worker = await pool.addWorker()
      const left = new AbortController()
      const { jobs, ended } = collect(worker, left.signal)
      await pool.dispatch("acme", bytes("x"))
      await until(() => jobs.has("acme"), "the job is there")
      left.abort()
      await ended
      expect(jobs.get("acme")?.abortSignal.aborted).toBe(false)
      await pool.dispatch("later", bytes("x"))
      await jobs.get("acme")?.done(bytes("done"))
      expect(text(await pool.result("acme"))).toBe("done")
      const again = collect(worker)
      await until(() => again.jobs.has("later"), "the next loop gets the next job")
      expect(jobs.has("later")).toBe(false)
    } finally {
      await pool.close()
    }
  })

  test("hands a job out again that was left undone", async () => {
    const pool = await join(uniqueName("api"))
    try {
      const { jobs } = collect(await pool.addWorker())
      await pool.dispatch("acme", bytes("x"))
      await until(() => jobs.has("acme"), "the job is there")
      const first = jobs.get("acme")!
      {
        using left = first
        expect(left.key).toBe("acme")
      }
      await until(() => jobs.get("acme") !== first, "it is handed out again")
      expect(jobs.get("acme")!.fence).toBeGreaterThan(first.fence)
    } finally {
      await pool.close()
    }
  })

  test("waits for code that does not listen only as long as abortGraceMs", async () => {
    const name = uniqueName("api")
    const pool = await join(name, { abortGraceMs: 100 })
    try {
      const worker = await pool.addWorker()
      let yielded = 0
      const loop = (async () => {
        for await (const _ of worker.jobs()) yielded++
      })()
      await pool.dispatch("acme", bytes("x"))
      await until(() => yielded === 1, "the job is there")
      const from = performance.now()
      await worker.stop()
      await loop
      expect(performance.now() - from).toBeGreaterThan(80)
      expect(performance.now() - from).toBeLessThan(5_000)
    } finally {
      await pool.close()
    }
  })

  test("refuses bad keys, payloads, options, stores and shard counts with what was expected", async () => {
    const name = uniqueName("api")
    const pool = await join(name, { payloadBytes: 1_024, inboxLimit: 2 })
    try {
      await expect(pool.dispatch("", bytes("x"))).rejects.toMatchObject({ _tag: "BadKey" })
      await expect(pool.dispatch("a\nb", bytes("x"))).rejects.toMatchObject({ _tag: "BadKey" })
      await expect(pool.dispatch("a", "x" as never)).rejects.toMatchObject({ _tag: "BadInput" })
      await expect(pool.dispatch("a", new Uint8Array(1_025))).rejects.toMatchObject({ _tag: "PayloadTooLarge" })
      await pool.dispatch("a", new Uint8Array(1_024))
      await pool.notify("a", bytes("1"))
      await pool.notify("a", bytes("2"))
      await expect(pool.notify("a", bytes("3"))).rejects.toMatchObject({ _tag: "InboxFull" })
      await expect(pool.result("b")).rejects.toMatchObject({ _tag: "RunNotFound" })
      await expect(pool.addWorker({ weigth: 1 } as never)).rejects.toThrow("(did you mean weight?)")
      await expect(join(name, { shards: 4 })).rejects.toMatchObject({ _tag: "PoolMismatch" })
      await expect(join(name, { shard: 4 } as never)).rejects.toThrow("(did you mean shards?)")
      await expect(Pool.join(name, "http://nowhere")).rejects.toMatchObject({ _tag: "BadOption" })
    } finally {
      await pool.close()
    }
    await expect(pool.dispatch("a", bytes("x"))).rejects.toThrow("it was closed")
  })
})
