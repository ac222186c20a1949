/** Random verbs on a pool under load: one seed, one schedule. */
import { leases } from "./scenarios.ts"
import type { ChaosStore } from "./stores.ts"
import type { Worker } from "./worker.ts"
import { leaseMs, type World } from "./world.ts"

/** Mulberry32: small, and the same on every machine. */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

interface Verb {
  readonly name: string
  readonly weight: number
  readonly applies?: (world: World, store: ChaosStore) => boolean
  /** Whom it can hurt; default: anybody. */
  readonly suits?: (worker: Worker) => boolean
  /** One at a time: a slot that moves while its servers restart stays half way. */
  readonly ofServers?: true
  readonly run: (world: World, worker: Worker, random: () => number) => Promise<void>
}

/** Processes at the same time, at most and at least. */
const most = 5
const least = 2

const hasWays = ({ ways }: Worker): boolean => ways !== undefined
const spare = (world: World): boolean => world.living.length > least

/** Some time under the fault, up to three leases: the schedule is of time as well as of verbs. */
const hold = (random: () => number): Promise<void> => leases(3 * random())

/** A program that cannot reach its store when it starts ends with that: its supervisor starts it again. */
const join = async (world: World): Promise<void> => {
  await world.add().catch((error: unknown) => {
    if (!/StoreUnavailable/.test((error as Error).message)) throw error
    world.log("  it could not reach the store")
  })
}

const verbs: ReadonlyArray<Verb> = [
  { name: "add", weight: 3, applies: (world) => world.living.length < most, run: async (world) => await join(world) },
  { name: "kill", weight: 3, applies: spare, run: async (world, worker) => await world.kill(worker) },
  { name: "drain", weight: 2, applies: spare, run: async (world, worker) => await world.drain(worker) },
  {
    name: "freeze",
    weight: 4,
    run: async (world, worker, random) => {
      world.freeze(worker)
      await hold(random)
      world.thaw(worker)
    },
  },
  {
    name: "cut",
    weight: 4,
    suits: hasWays,
    run: async (world, worker, random) => {
      world.cut(worker, ([undefined, "toStore", "toWorker"] as const)[Math.floor(3 * random())])
      await hold(random)
      world.heal(worker)
    },
  },
  {
    name: "slow",
    weight: 2,
    suits: hasWays,
    run: async (world, worker, random) => {
      world.slow(worker, Math.round(leaseMs * random()))
      await hold(random)
      world.heal(worker)
    },
  },
  {
    name: "drop",
    weight: 2,
    suits: hasWays,
    run: async (world, worker) => {
      world.log(`  drop all connections of ${worker.name}`)
      worker.ways?.drop()
    },
  },
  {
    name: "lose replies",
    weight: 4,
    suits: hasWays,
    run: async (world, worker, random) => {
      await world.loseReplies(worker, 1 + Math.floor(5 * random()))
      world.heal(worker)
    },
  },
  {
    name: "block",
    weight: 2,
    run: async (world, worker, random) => world.block(worker, Math.round(2.5 * leaseMs * random())),
  },
  {
    name: "hang",
    ofServers: true,
    weight: 1,
    applies: (_, { hang }) => hang !== undefined,
    run: async (world, _, random) => {
      world.log("  hang")
      await world.store.hang?.()
      await hold(random)
      world.log("  unhang")
      await world.store.unhang?.()
    },
  },
  {
    name: "restart",
    ofServers: true,
    weight: 1,
    applies: (_, { restart }) => restart !== undefined,
    run: async (world) => {
      world.log("  restart the store")
      await world.store.restart?.()
    },
  },
  {
    name: "migrate",
    ofServers: true,
    weight: 2,
    applies: (_, { migrate }) => migrate !== undefined,
    run: async (world, _, random) => {
      world.log("  migrate slots")
      await world.store.migrate?.(random() < 0.5 ? world.pool : world.lowPool)
    },
  },
  // Seldom: it makes void what was acknowledged before.
  {
    name: "flush",
    ofServers: true,
    weight: 0.3,
    applies: (_, { flush }) => flush !== undefined,
    run: async (world) => await world.flush(),
  },
]

const choose = (all: ReadonlyArray<Verb>, random: () => number): Verb => {
  let at = random() * all.reduce((sum, { weight }) => sum + weight, 0)
  for (const verb of all) if ((at -= verb.weight) < 0) return verb
  return all[0] as Verb
}

/** Verbs, one or two at once, each followed by the proof that all keys go on, until the time is over. */
export const randomRun = async (world: World, seed: number, minutes: number): Promise<number> => {
  const random = randomOf(seed)
  const end = performance.now() + minutes * 60_000
  let count = 0
  while (performance.now() < end) {
    const able = verbs.filter(({ applies, suits = () => true }) => (applies?.(world, world.store) ?? true) && world.living.some(suits))
    const [first, second] = [choose(able, random), random() < 0.3 ? choose(able, random) : undefined]
    const chosen = [first, ...(second === undefined || (first.ofServers && second.ofServers) ? [] : [second])]
    // Two verbs of which each counts on the other's worker would leave nobody.
    const workers = [...world.living].toSorted(() => random() - 0.5)
    count += chosen.length
    world.log(`${count}: ${chosen.map(({ name }) => name).join(" and ")}`)
    await Promise.all(
      chosen.map(async (verb, n) => {
        const at = workers.findIndex((worker) => verb.suits?.(worker) ?? true)
        const [worker] = at < 0 ? [] : workers.splice(at, 1)
        if (worker !== undefined && (n === 0 || (verb.applies?.(world, world.store) ?? true))) await verb.run(world, worker, random)
      }),
    )
    while (world.living.length < least) await world.add()
    await world.recovered("after that")
  }
  return count
}
