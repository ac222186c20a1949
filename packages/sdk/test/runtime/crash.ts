/** Runs a workflow with one fault, lets a fresh worker take over, and tells what came out. */
import { randomBytes } from "node:crypto"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { CodecChain } from "../../src/codec/codec.ts"
import { compress, encrypt } from "../../src/codec/index.ts"
import { codedEngine } from "../../src/engine/coded-engine.ts"
import type { Engine } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/engine/open.ts"
import type { ClientCall } from "../../src/client/interceptors.ts"
import { makeClient } from "../../src/gen.ts"
import { addressOf, shardOf } from "../../src/key.ts"
import type { WorkCall } from "../../src/runtime/interceptors.ts"
import { startWorker } from "../../src/worker.ts"
import type { StartedWorker } from "../../src/worker.ts"
import { removePool } from "./cleanup.ts"
import type { Fault, FaultyEngine, Hints } from "../../src/testing/faults.ts"
import { faultyEngine, repeating } from "../../src/testing/faults.ts"
import { contract, helperContract, helperStub, stub, stubWith, until } from "./fixture.ts"
import type { Workflow } from "./world.ts"
import { World } from "./world.ts"

const shards = 2
const secret = randomBytes(32)

export interface Disturbance {
  readonly fault?: Fault
  readonly hints?: Hints
  /** Every write of the client is sent twice. */
  readonly repeatClient?: boolean
  /** Handlers leave memory as soon as they only wait. */
  readonly parking?: boolean
  /** The store sees only what codecs made of payloads; and interceptors stand around all that is called. */
  readonly codecs?: boolean
}

export interface Observed {
  readonly outcome: unknown
  readonly state: unknown
  /** What became of others. */
  readonly after: unknown
  /** Steps whose results the handler got. */
  readonly steps: ReadonlyArray<string>
}

export interface Trial {
  readonly observed: Observed
  /** Steps of which the handler got several results. */
  readonly recomputed: ReadonlyArray<string>
  /** Side effects, and how often each was had. */
  readonly ran: Readonly<Record<string, number>>
  readonly writes: number
  readonly takes: number
  readonly claims: number
  readonly killed: boolean
  /** What the client's interceptor gave to the run, as the worker's saw it. */
  readonly headers: ReadonlyArray<string>
}

/** Interceptors: what the client's gives to a run is told to the worker's, in each attempt. */
const carrying = async (call: ClientCall, next: () => Promise<unknown>): Promise<unknown> => {
  if (call.type === "start") call.headers["trace"] = "t1"
  return await next()
}
const told =
  (world: World) =>
  async ({ type, kind, headers }: WorkCall, next: () => Promise<unknown>): Promise<unknown> => {
    if (kind === "sample" && type !== "activity") world.headers.add(JSON.stringify(headers))
    return await next()
  }

export const tryOut = async (
  store: string,
  workflow: Workflow,
  { fault, hints = "delivered", repeatClient = false, parking = false, codecs = false }: Disturbance,
): Promise<Trial> => {
  const plain = await openEngine(store)
  const real = codecs
    ? codedEngine(plain, new CodecChain([compress({ minBytes: 100 }), encrypt({ keys: { a: secret }, current: "a" })]))
    : plain
  const pool = uniqueName("crash")
  const world = new World()
  const workers: Array<StartedWorker> = []
  const engines: Array<FaultyEngine> = []
  // what a worker's slow cycle does once a second
  const prove = setInterval(() => workers.forEach(({ runner }) => runner?.proveMessages(10)), 50)
  const park = setInterval(() => workers.forEach(({ runner }) => parking && runner?.parkWaiting(0)), 2)
  let killed = false
  /** The run and what came after it is over: what strikes now meets a worker that is closed anyway. */
  let over = false
  const clientEngine = repeatClient ? repeating(real) : real
  const interceptors = codecs ? [carrying] : []
  const client = makeClient({ pool, store, shards, engine: clientEngine, interceptors } as never, {
    sample: contract,
    helper: helperContract,
  })
  const start = async (
    engine: Engine,
    handlers = workflow.handlers(world),
    stateVersion = workflow.stateVersion,
  ): Promise<StartedWorker> => {
    const helpers = workflow.helper === undefined ? [] : [helperStub.implement(workflow.helper(world))]
    const worker = await startWorker({
      pool,
      store,
      shards,
      engine,
      signals: false,
      leaseMs: 5_000,
      sweepMs: 100,
      settleMs: 0,
      jobs: [
        stubWith(undefined, workflow.timeout, stateVersion).implement({ init: () => ({ count: 0, log: [] }), ...handlers } as never),
        ...helpers,
      ],
      activities: workflow.activities === undefined ? [] : [stub.activities(workflow.activities(world) as never)],
      interceptors: codecs ? [told(world)] : [],
      onEvent: () => undefined,
    })
    workers.push(worker)
    return worker
  }
  /** The run as an older worker leaves it. */
  const begin = async (): Promise<any> => {
    const older = await start(real, workflow.earlier?.(world), 1)
    const handle = await client.sample.start({ id: "key", limit: 1 }, workflow.start ?? {})
    await until(async () => {
      const { iteration, phase } = await handle.describe()
      return iteration === 2 && phase === "parked"
    }, "the older worker has parked the run")
    workers.splice(workers.indexOf(older), 1)
    await older.worker.close()
    return handle
  }
  try {
    let handle = workflow.earlier === undefined ? undefined : await begin()
    const faulty = faultyEngine(real, fault, hints, () => first?.member?.kill())
    engines.push(faulty)
    const first: StartedWorker = await start(faulty.engine)
    const takeOver = faulty.struck.then(async () => {
      if (over) return faulty.bury()
      killed = true
      const session = first.member?.session ?? ""
      const counter = (await real.renew(pool, undefined)).counters.get(session)
      if (counter !== undefined) await real.markDead(pool, session, counter)
      const calm = faultyEngine(real, undefined, hints, () => undefined)
      engines.push(calm)
      await start(calm.engine)
    })
    handle ??= await client.sample.start({ id: "key", limit: 1 }, workflow.start ?? {})
    await workflow.script?.({
      handle,
      world,
      client,
      changeInput: async (input) => {
        const address = addressOf("sample", "key")
        const item = { shard: shardOf("key", shards), address, kind: "input", name: "input", id: crypto.randomUUID() } as const
        await clientEngine.message(pool, [{ ...item, payload: JSON.stringify(input), inboxLimit: 100, retention: 60_000 }])
      },
    })
    const outcome = (await handle.result({ timeout: 20_000 }).catch((error: any) => {
      const { _tag: tag, status, details } = error as { _tag: string; status?: number; details?: unknown }
      return { tag, status, details }
    })) as unknown
    const { state } = await handle.describe()
    const after = await workflow.after?.(client)
    over = true
    if (killed) await takeOver
    return {
      observed: { outcome, state: state as unknown, after, steps: [...world.seen.keys()].toSorted() },
      recomputed: [...world.seen].filter(([, values]) => values.size > 1).map(([id, values]) => `${id}: ${[...values].join(", ")}`),
      ran: Object.fromEntries([...world.ran].toSorted(([a], [b]) => (a < b ? -1 : 1))),
      writes: faulty.writes(),
      takes: faulty.takes(),
      claims: faulty.claims(),
      killed,
      headers: [...world.headers],
    }
  } finally {
    over = true
    clearInterval(prove)
    clearInterval(park)
    // the dead may give up; the living hand over
    if (killed) engines[0]?.bury()
    await Promise.all(workers.map(({ worker }) => worker.close()))
    await client.close()
    await real.close()
    await removePool(store, pool)
  }
}

/** Runs tasks, at most `width` at a time. */
export const inParallel = async (width: number, tasks: ReadonlyArray<() => Promise<void>>): Promise<void> => {
  const queue = [...tasks]
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let task = queue.shift(); task !== undefined; task = queue.shift()) await task()
    }),
  )
}
