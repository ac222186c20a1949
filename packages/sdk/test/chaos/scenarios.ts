/** What happens to a pool, by name: each brings it from health to health. A scenario waits for conditions only; freezes and blocks are measured in leases. */
import type { ChaosStore } from "./stores.ts"
import type { Verdict } from "./verdict.ts"
import type { Worker } from "./worker.ts"
import { leaseMs, World } from "./world.ts"

export interface Scenario {
  readonly name: string
  readonly workers: number
  /** What the store must be able to suffer. */
  readonly applies: (store: ChaosStore) => boolean
  /** Its workers reach the store by ways that it hurts. */
  readonly ways?: true
  readonly options?: object
  readonly run: (world: World) => Promise<void>
}

/** One that has something to lose. */
const pick = async (world: World): Promise<Worker> => {
  const [worker] = world.living
  if (worker === undefined) throw new Error("nobody is left")
  await world.until(async () => (await poolsOf(world, worker)) === 2, `${worker.name} has shards of both pools`)
  return worker
}

const always = (): boolean => true
const reached = ({ servers }: ChaosStore): boolean => servers !== undefined

/** For as long as a lease, several times. This is what the scenario is about, and no wait for a condition. */
export const leases = (count: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, count * leaseMs))

export const scenarios: ReadonlyArray<Scenario> = [
  {
    name: "a worker is killed",
    workers: 3,
    applies: always,
    run: async (world) => {
      await world.kill(await pick(world))
      await world.recovered("after the kill")
      await world.shared()
    },
  },
  {
    name: "a worker is frozen for three leases, and thawed",
    workers: 3,
    applies: always,
    run: async (world) => {
      const worker = await pick(world)
      world.freeze(worker)
      await world.recovered("while it is frozen")
      await leases(3)
      world.thaw(worker)
      await world.until(() => worker.count("joined") >= 4 || !worker.alive, "the thawed one joins both pools again")
      await world.recovered("after the thaw")
    },
  },
  {
    name: "the way between a worker and the store is cut, in both directions and in each",
    workers: 3,
    applies: reached,
    ways: true,
    run: async (world) => {
      for (const direction of [undefined, "toStore", "toWorker"] as const) {
        const worker = await pick(world)
        const [joined, deposed] = [worker.count("joined"), worker.count("deposed")]
        world.cut(worker, direction)
        await world.until(() => worker.count("deposed") > deposed, "it gives up its shards")
        await world.until(async () => !(await holds(world, worker)), "others hold its shards")
        world.heal(worker)
        await world.until(() => worker.count("joined") >= joined + 2, "it joins both pools again")
        await world.recovered("after the cut")
      }
    },
  },
  {
    name: "replies are lost: the script ran, and its answer did not arrive",
    workers: 2,
    applies: reached,
    ways: true,
    run: async (world) => {
      for (let round = 0; round < 4; round++) {
        for (const worker of world.living) await world.loseReplies(worker, 5)
        for (const worker of world.living) world.heal(worker)
        await world.recovered("after lost replies")
      }
    },
  },
  {
    name: "the way to the store is slow",
    workers: 3,
    applies: reached,
    ways: true,
    run: async (world) => {
      for (const worker of world.living) world.slow(worker, leaseMs / 10)
      await world.recovered("although it is slow")
      world.slow(await pick(world), leaseMs)
      await world.recovered("although it is very slow for one")
      for (const worker of world.living) world.heal(worker)
      await world.recovered("after it was slow")
    },
  },
  {
    name: "the store hangs for two leases",
    workers: 3,
    applies: ({ hang }) => hang !== undefined,
    run: async (world) => {
      world.log("  hang")
      await world.store.hang?.()
      await leases(2)
      world.log("  unhang")
      await world.store.unhang?.()
      await world.recovered("after the store hung")
      await world.shared()
    },
  },
  {
    name: "an event loop is blocked for two leases",
    workers: 3,
    applies: always,
    run: async (world) => {
      const worker = await pick(world)
      world.block(worker, 2 * leaseMs)
      await world.until(async () => !(await holds(world, worker)), "others hold its shards")
      await world.recovered("after the block")
    },
  },
  {
    name: "an event loop is blocked for two leases, with onOverrun exit",
    workers: 3,
    applies: always,
    options: { onOverrun: "exit" },
    run: async (world) => {
      const worker = await pick(world)
      world.block(worker, 2 * leaseMs)
      await world.until(() => !worker.alive, "its lease thread ends it")
      await world.recovered("after it ended")
    },
  },
  {
    name: "a rolling restart",
    workers: 3,
    applies: always,
    run: async (world) => {
      // `living` is a new list each time: those who join meanwhile stay.
      for (const worker of world.living) {
        await world.add()
        await world.drain(worker)
      }
      await world.recovered("after the restart")
      await world.shared()
    },
  },
  {
    name: "three workers, ten, three",
    workers: 3,
    applies: always,
    run: async (world) => {
      await Promise.all(Array.from({ length: 7 }, () => world.add()))
      await world.recovered("with ten")
      await Promise.all(world.living.slice(0, 7).map((worker) => world.drain(worker)))
      await world.recovered("with three")
      await world.shared()
    },
  },
  {
    name: "the store restarts with what it saved",
    workers: 3,
    applies: ({ restart }) => restart !== undefined,
    run: async (world) => {
      for (let round = 0; round < 2; round++) {
        world.log("  restart")
        await world.store.restart?.()
        await world.recovered("after the restart")
      }
      await world.shared()
    },
  },
  {
    name: "the store is emptied",
    workers: 3,
    applies: ({ flush }) => flush !== undefined,
    run: async (world) => {
      await world.flush()
      await world.recovered("after it was emptied")
      await world.shared()
    },
  },
  {
    name: "a primary is killed, and another one takes over",
    workers: 3,
    applies: ({ failover }) => failover !== undefined,
    run: async (world) => {
      await world.failover("killed")
      await world.recovered("after the failover")
      await world.shared()
    },
  },
  {
    name: "a primary hangs for two leases, another one takes over, and the first comes back",
    workers: 3,
    applies: ({ failover }) => failover !== undefined,
    run: async (world) => {
      const held = leases(2)
      const thaw = await world.failover("hanging")
      await world.recovered("while the old one hangs")
      await held
      await thaw()
      await world.recovered("after it came back")
      await world.shared()
    },
  },
  {
    name: "a primary is killed, and one takes over that is behind",
    workers: 4,
    applies: ({ strand }) => strand !== undefined,
    run: async (world) => {
      const acknowledged = await world.goBack(async () => {
        // Shards move, so that the next primary knows older owners and epochs than those who hold them. Soon: the Sentinels mend replicas.
        await world.drain(await pick(world))
        await world.shared()
        await world.recovered("while the replicas get nothing")
      })
      await world.recovered("after the failover")
      await world.shared()
      const runs = [...acknowledged].filter(([key]) => key.startsWith("run/"))
      const kept = await Promise.all(runs.map(async ([key, n]) => (await world.load.log(key)).includes(n)))
      if (kept.every(Boolean)) throw new Error("expected the store to have gone back, and it has all that it acknowledged")
    },
  },
  {
    name: "slots of the pool move to another server",
    workers: 3,
    applies: ({ migrate }) => migrate !== undefined,
    run: async (world) => {
      world.log("  migrate")
      await world.store.migrate?.(world.pool)
      await world.recovered("after the migration")
      await world.store.migrate?.(world.lowPool)
      await world.recovered("after both migrations")
    },
  },
]

/** A world of its own, and what became of it. */
export const runScenario = async (store: ChaosStore, scenario: Scenario, log?: (text: string) => void): Promise<Verdict> => {
  const { workers, ways, options = {} } = scenario
  const world = await World.open(store, { workers, options, ways: () => ways === true, ...(log === undefined ? {} : { log }) })
  try {
    await scenario.run(world)
    return await world.verify()
  } finally {
    await world.close()
  }
}

/** In how many pools do the worker's sessions hold shards? */
const poolsOf = async (world: World, worker: Worker): Promise<number> => {
  const sessions = new Set(worker.sessions)
  const all = await Promise.all([world.holders(world.pool), world.holders(world.lowPool)])
  return all.filter((of) => [...of].some((session) => sessions.has(session))).length
}

const holds = async (world: World, worker: Worker): Promise<boolean> => (await poolsOf(world, worker)) > 0
