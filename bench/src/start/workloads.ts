/** Workloads, each one run of one contender in processes of its own. */
import { Child } from "../child.ts"
import { quantile } from "../figure.ts"
import type { ContenderName } from "./contender.ts"

export interface Run {
  readonly contender: ContenderName
  /** Part of every key of this run; never used before. */
  readonly namespace: string
  readonly store: {
    readonly url: string
    /** Processor time that its server used so far, ms; absent: it has none. */
    readonly cpu?: () => Promise<number>
  }
  readonly quick: boolean
  /** Called with every process that is started, so that whoever interrupts the bench can end it. */
  readonly onChild: (child: Child) => void
}

/** Starts that a client has under way at the same time. */
const inFlight = 500

const child = (run: Run, role: "client" | "worker", args: ReadonlyArray<string> = []): Child => {
  const made = new Child(new URL(`./${role}.ts`, import.meta.url), [run.contender, run.namespace, run.store.url, ...args])
  run.onChild(made)
  return made
}

const withClient = async <A>(run: Run, body: (client: Child) => Promise<A>): Promise<A> => {
  const client = child(run, "client")
  try {
    await client.call("open")
    return await body(client)
  } finally {
    await client.end()
  }
}

/** The worker is there before the client, and has run its first job. */
const withBoth = async <A>(run: Run, body: (client: Child, worker: Child) => Promise<A>, args: ReadonlyArray<string> = []): Promise<A> => {
  const worker = child(run, "worker", args)
  try {
    await worker.call("open")
    return await withClient(run, async (client) => {
      await worker.call("completed", 1)
      return await body(client, worker)
    })
  } finally {
    await worker.end()
  }
}

export interface Rate {
  readonly perSecond: number
  /** Processor time a job, µs: steadier than the rate on a machine that does other things too. */
  readonly cpu: Readonly<Record<string, number>>
}

export const describeRate = ({ perSecond, cpu }: Rate, what: "job" | "step"): string => {
  const times = Object.entries(cpu).map(([who, us]) => `${who} ${us.toFixed(1)} µs`)
  return `${Math.round(perSecond).toLocaleString("en-US")}/s (processor time a ${what}: ${times.join(", ")})`
}

/** Processor time of the processes and of Redis while `body` runs. */
const withCpu = async <A>(run: Run, children: Readonly<Record<string, Child>>, body: () => Promise<A>) => {
  const read = async (): Promise<ReadonlyArray<readonly [string, number]>> => [
    ...(await Promise.all(Object.entries(children).map(async ([name, one]) => [name, await one.call<number>("cpu")] as const))),
    ...(run.store.cpu === undefined ? [] : [["redis", await run.store.cpu()] as const]),
  ]
  const before = await read()
  const value = await body()
  const after = await read()
  const cpu = (jobs: number): Rate["cpu"] =>
    Object.fromEntries(after.map(([name, ms], n) => [name, ((ms - (before[n]?.[1] ?? 0)) * 1_000) / jobs]))
  return { value, cpu }
}

/** Jobs accepted per second, no worker. */
export const starts = (run: Run): Promise<Rate> =>
  withClient(run, async (client) => {
    await client.call("lanes", { inFlight, ms: run.quick ? 400 : 1_000 })
    const { value, cpu } = await withCpu(run, { client }, () =>
      client.call<{ count: number; ms: number }>("lanes", { inFlight, ms: run.quick ? 800 : 3_000 }),
    )
    return { perSecond: (value.count / value.ms) * 1_000, cpu: cpu(value.count) }
  })

/** Jobs per second from the first start to the last completion that the worker knows of. */
export const endToEnd = (run: Run): Promise<Rate> =>
  burst(run, { warmUp: run.quick ? 10_000 : 60_000, count: run.quick ? 10_000 : 60_000, stepsOf: 0 })

const stepsOfJob = 10

/** Steps per second, ten in each job, each in the store before the next one. */
export const steps = async (run: Run): Promise<Rate> => {
  const { perSecond, cpu } = await burst(run, {
    warmUp: run.quick ? 1_500 : 8_000,
    count: run.quick ? 1_500 : 16_000,
    stepsOf: stepsOfJob,
  })
  return { perSecond: perSecond * stepsOfJob, cpu: Object.fromEntries(Object.entries(cpu).map(([who, us]) => [who, us / stepsOfJob])) }
}

interface Burst {
  /**
   * Jobs before those that are measured, since a worker runs for days. After 5,000 of them the code of a Ponos worker was still being compiled while the
   * first second was measured, in which it runs 50,000; BullMQ's runs 10,000 in a second, and gains nothing by more.
   */
  readonly warmUp: number
  readonly count: number
  readonly stepsOf: number
}

const burst = (run: Run, { warmUp, count, stepsOf }: Burst): Promise<Rate> =>
  withBoth(
    run,
    async (client, worker) => {
      await client.call("burst", { inFlight, count: warmUp })
      await worker.call("completed", 1 + warmUp)
      const { value, cpu } = await withCpu(run, { client, worker }, () =>
        Promise.all([client.call<number>("burst", { inFlight, count }), worker.call<number>("completed", 1 + warmUp + count)]),
      )
      const [from, to] = value
      const handled = await worker.call<number>("handled")
      if (handled !== 1 + warmUp + count) throw new Error(`${run.contender} ran ${handled} handlers for ${1 + warmUp + count} jobs`)
      return { perSecond: (count / (to - from)) * 1_000, cpu: cpu(count) }
    },
    [String(stepsOf)],
  )

/** Milliseconds from the call of a step to its result, while nothing else runs: jobs of a hundred steps, one job at a time. */
export const stepAlone = (run: Run): Promise<ReadonlyArray<number>> =>
  withBoth(
    run,
    async (client, worker) => {
      const jobs = run.quick ? 3 : 10
      // the first one warms up
      for (let job = 1; job <= jobs; job++) {
        await client.call("burst", { inFlight: 1, count: 1 })
        await worker.call("completed", 1 + job)
        if (job === 1) await worker.call("listen")
      }
      return await worker.call<ReadonlyArray<number>>("latencies")
    },
    ["100", "timed"],
  )

export interface Latency {
  readonly p50: number
  readonly p99: number
}

/** From the call of start to the first line of the handler, ms, at 200 jobs a second. Both are warm: a worker runs for days. */
export const latency = (run: Run): Promise<Latency> =>
  withBoth(run, async (client, worker) => {
    const perSecond = 200
    const burst = 2_000
    const settling = run.quick ? 60 : 200
    const count = run.quick ? 300 : 1_200
    await client.call("burst", { inFlight: 50, count: burst })
    await worker.call("completed", 1 + burst)
    await client.call("paced", { perSecond, count: settling })
    await worker.call("completed", 1 + burst + settling)
    await worker.call("listen")
    await client.call("paced", { perSecond, count })
    await worker.call("completed", 1 + burst + settling + count)
    const samples = await worker.call<ReadonlyArray<number>>("latencies")
    return { p50: quantile(samples, 0.5), p99: quantile(samples, 0.99) }
  })
