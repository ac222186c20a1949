/** The two drivers beside each other: any sequence of verbs gets the same answers and leaves the same runs on both. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { describeRedis } from "../../../../tools/with-redis.ts"
import type { OutboxEntry } from "../../src/engine/links.ts"
import type { CommitItem, Engine, LoadedRun, Next, ShardOwner } from "../../src/engine/engine.ts"
import { memoryStore, redisStore } from "./stores.ts"
import { World } from "./world.ts"

const addresses = ["kind/a", "kind/b", "kind/c"]

/** A value with its weight, as often as it weighs. */
function oneOf<T extends string>(weights: Readonly<Record<T, number>>): fc.Arbitrary<T> {
  const names = Object.keys(weights) as T[]
  return fc.constantFrom(...names.flatMap((name) => Array.from({ length: weights[name] }, () => name)))
}

/** One step: a verb and numbers from which its arguments follow, the same on both stores. Most are the owner's, or nothing would happen. */
const step = fc.record({
  verb: oneOf({
    start: 4,
    message: 5,
    take: 6,
    commit: 9,
    wait: 2,
    terminate: 1,
    claim: 1,
    release: 1,
    trim: 1,
    digests: 1,
    link: 3,
    forbid: 1,
    forward: 1,
  }),
  address: fc.constantFrom(...addresses),
  n: fc.nat(11),
  m: fc.nat(5),
  who: oneOf({ owner: 12, s1: 1, s2: 1 }),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** A store with what an imaginary worker knows of it. */
interface Side {
  readonly world: World
  readonly owners: Map<string, ShardOwner>
  /** Session of the last claim. */
  owner: string
  readonly loaded: Map<string, LoadedRun>
  readonly commits: CommitItem[]
}

const control = (n: number) => ({
  controller: "controller",
  fence: String(n).padStart(19, "0"),
  spec: `s${n % 3}`,
  sums: [n, 2 * n] as const,
})
const nexts: ReadonlyArray<Next> = [
  { phase: "active" },
  { phase: "ready" },
  { phase: "parked", on: ["go"], due: { after: 50 } },
  { phase: "parked", on: ["stop"] },
  { phase: "ended", outcome: "o", retention: 100 },
  { phase: "ended", outcome: "refusing", retention: 30, ifUnseen: "refuse" },
]
const byAddress = <T extends { readonly address: string }>(runs: ReadonlyArray<T>): T[] =>
  runs.toSorted((a, b) => (a.address < b.address ? -1 : 1))

async function apply(side: Side, { verb, address, n, m, who }: Step, count: number): Promise<unknown> {
  const { world, owners, loaded, commits } = side
  const { engine, pool } = world
  const session = who === "owner" ? side.owner : who
  const owner = owners.get(session) ?? { shard: 0, session, epoch: 1 }
  switch (verb) {
    case "wait":
      world.now += [1, 20, 60, 200][n % 4] ?? 1
      return undefined
    case "claim": {
      const [from = { session: "", epoch: 0 }] = n === 0 ? [] : await engine.headers(pool, [0])
      const [reply] = await engine.claim(pool, [{ shard: 0, session, from, knownEpoch: m === 0 ? owner.epoch : 0 }])
      if (reply?.status === "claimed") {
        owners.set(session, { shard: 0, session, epoch: reply.epoch })
        side.owner = session
      }
      return reply?.status === "claimed" ? { ...reply, active: reply.active.toSorted() } : reply
    }
    case "release":
      return await engine.release(pool, [owner])
    case "trim":
      return await engine.trim(pool, [{ ...owner, limit: 1 + m }])
    case "digests":
      return await engine.digests(pool, "controller", [0, 1], m === 0 ? control(n).fence : undefined)
    case "start": {
      const base = { shard: 0, address, run: `run-${n % 4}-${m === 0 ? "again" : count}`, body: `body ${n}` }
      const [after, ifEnded] = [n % 3 === 0 ? 10 * n : 0, n % 5 === 0 ? ("reject" as const) : ("start" as const)]
      const remember = m > 2 ? { remember: 10 + 20 * n } : {}
      const id = n % 4 === 1 ? `id-${m}` : `id-${count}`
      const first = {
        name: "go",
        id,
        payload: `p${n}`,
        inboxLimit: 3,
        retention: 40,
        ifRunning: m % 2 ? ("send" as const) : ("drop" as const),
      }
      const signal = n > 5 ? { signal: first } : {}
      return await engine.start(pool, [{ ...base, after, ifEnded, ...remember, ...signal, ...(n % 2 ? { control: control(n) } : {}) }])
    }
    case "message": {
      const kind = (["signal", "signal", "update", "cancel", "input", "result"] as const)[m] ?? "signal"
      const more = kind === "input" ? { control: control(n), ...(n % 2 ? { expectSpec: n % 4 === 1 ? "" : "s0" } : {}) } : {}
      const id = n % 4 === 0 ? `id-${m}` : `id-${count}`
      const message = { shard: 0, address, kind, name: n % 2 ? "go" : "stop", id, payload: `p${n}`, inboxLimit: 4, retention: 10 + 10 * n }
      return await engine.message(pool, [{ ...message, ...more }])
    }
    case "terminate": {
      const base = { shard: 0, address, outcome: `t${n}`, newRevision: `t.${m === 0 ? 0 : count}`, retention: 40 }
      return await engine.terminate(pool, [{ ...base, ...(n % 4 === 1 ? { control: control(n), expectSpec: "s1" } : {}) }])
    }
    case "link": {
      const asked = m === 0 ? { run: `run-${n % 4}-again` } : {}
      return await engine.link(pool, [
        { shard: 0, address, ...asked, link: `link-${n % 5}`, drop: m === 2 ? ["link-1", "link-2"] : [], limit: 3, outboxLimit: 6 },
      ])
    }
    case "forbid":
      return await engine.forbid(pool, [{ shard: 0, run: `run-${n % 4}-again`, retention: 10 + 10 * m }])
    case "forward": {
      const all = await entries(engine, pool, owner)
      const sent = all.filter((_, at) => (at + n) % 2 === 0)
      const [reply] = await engine.forward(pool, [{ ...owner, sent, limit: 100 }])
      return reply?.status === "forwarded" ? byLink(reply.entries) : reply
    }
    case "take": {
      const group = { ...owner, limit: n % 5, timers: m > 1, addresses: m % 2 ? addresses : [] }
      const [reply] = await engine.take(pool, [group])
      if (reply?.status !== "taken") return reply
      for (const run of reply.runs) loaded.set(run.address, run)
      // The next due time is worth nothing while more is due already.
      return { ...reply, runs: byAddress(reply.runs), nextDue: reply.more ? undefined : reply.nextDue }
    }
    case "commit": {
      const run = loaded.get(address) ?? [...loaded.values()].at(-1)
      const repeated = n === 0 ? commits.at(-1 - m) : undefined
      const next = nexts[m]
      if (!repeated && (!run || !next)) return undefined
      const item: CommitItem = repeated ?? itemOf(run as LoadedRun, next as Next, n, count)
      commits.push(item)
      const [replies] = await engine.commit(pool, [{ ...owner, items: [item] }])
      if (replies?.[0]?.status === "ok" && !repeated) loaded.set(item.address, after(run as LoadedRun, item))
      return replies
    }
  }
}

function itemOf(run: LoadedRun, next: Next, n: number, count: number): CommitItem {
  const keeps = next.phase === "active" || n % 3 === 0
  return {
    address: run.address,
    run: run.run,
    revision: run.revision,
    newRevision: `1.${count}`,
    journalLength: run.journal.length,
    append: keeps && n % 2 ? [`entry ${count}`] : [],
    journal: keeps ? "keep" : "clear",
    next,
    ...(n % 4 === 3 ? { body: `body ${count}` } : {}),
    consumed: run.consumed + (n % 2 ? run.inbox.length : 0),
    seen: run.consumed + run.inbox.length,
    answers: n % 5 === 0 ? run.inbox.map(({ id }) => ({ id, answer: `answer ${count}` })) : [],
  }
}

/** What the worker believes after its write; the next take tells it more. */
function after(run: LoadedRun, item: CommitItem): LoadedRun {
  const writes = item.next.phase !== "active" || item.body !== undefined
  const journal = item.journal === "clear" ? [] : [...run.journal, ...item.append]
  if (!writes) return { ...run, journal }
  return {
    ...run,
    journal,
    revision: item.newRevision,
    consumed: item.consumed,
    inbox: run.inbox.filter(({ number }) => number > item.consumed),
  }
}

const byLink = (all: ReadonlyArray<OutboxEntry>): OutboxEntry[] =>
  all.toSorted((a, b) => (`${a.run} ${a.link}` < `${b.run} ${b.link}` ? -1 : 1))

async function entries(engine: Engine, pool: string, owner: ShardOwner): Promise<OutboxEntry[]> {
  const [reply] = await engine.forward(pool, [{ ...owner, sent: [], limit: 100 }])
  return reply?.status === "forwarded" ? byLink(reply.entries) : []
}

async function state({ world: { engine, pool } }: Side): Promise<unknown> {
  const runs = await engine.read(
    pool,
    addresses.map((address) => ({ shard: 0, address })),
    { full: true },
  )
  const [status] = await engine.sweep(pool, [0])
  const queues = await engine.queues(pool, [0, 1])
  const digests = await engine.digests(pool, "controller", [0])
  const ids = Array.from({ length: 6 }, (_, n) => ({ shard: 0, id: `id-${n}` }))
  const answers = await engine.answers(pool, ids)
  const audit = await engine.audit(pool, [{ shard: 0, after: 0, limit: 200 }])
  return { runs, status: status && { ...status, active: status.active.toSorted() }, queues, digests, answers, audit }
}

describeRedis("Redis and SQLite", () => {
  test("agree on every answer and on all that remains", async () => {
    const stores = [redisStore(), memoryStore()]
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60, size: "max" }), async (steps) => {
        const sides: Side[] = []
        try {
          for (const store of stores)
            sides.push({ world: await World.create(store), owners: new Map(), owner: "s1", loaded: new Map(), commits: [] })
          const first = { verb: "claim", address: "kind/a", n: 1, m: 1, who: "s1" } as const
          for (const [count, each] of [first, ...steps].entries()) {
            const [redis, sqlite] = await Promise.all(sides.map((side) => apply(side, each, count)))
            expect(redis, `step ${count}: ${JSON.stringify(each)}`).toEqual(sqlite)
            const [left, right] = await Promise.all(sides.map(state))
            expect(left, `after step ${count}: ${JSON.stringify(each)}`).toEqual(right)
          }
        } finally {
          for (const { world } of sides) await world.close()
        }
      }),
      { numRuns: Number(process.env["PONOS_TEST_RUNS"] ?? 60) },
    )
  }, 120_000)
})
