/**
 * The fence (O3): no worker verb of any driver changes anything for who does not own the shard, run and revision. The verbs are
 * enumerated, and on Redis compared with the scripts that call themselves a worker's, so that a new one cannot be forgotten here.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { describeRedis } from "../../../../tools/with-redis.ts"
import type { CommitItem, Engine, Hint, LoadedRun, Next, ShardOwner } from "../../src/engine/engine.ts"
import { scripts } from "../../src/engine/redis/scripts.ts"
import { worlds } from "./conformance.ts"
import { fileStore, memoryStore, redisStore } from "./stores.ts"
import { found, Heard, type TestStore, type World } from "./world.ts"

interface Scene {
  readonly owner: ShardOwner
  /** An active run with a journal and a message. */
  readonly active: LoadedRun
}

/** A shard on which each verb would have something to do. */
async function scene(w: World): Promise<Scene> {
  const owner = await w.own()
  const ended = await w.running(owner, "kind/ended")
  await w.engine.link(w.pool, [{ shard: 0, address: "kind/ended", link: "link", limit: 10, outboxLimit: 10 }])
  await w.commit(owner, w.item(ended, { phase: "ended", outcome: "o", retention: 1 }))
  const parked = await w.running(owner, "kind/due")
  await w.message("kind/due", { id: "expired", retention: 1 })
  await w.commit(owner, w.item(parked, { phase: "parked", due: { after: 5 }, on: [] }, { seen: 1, consumed: 1 }))
  const active = await w.running(owner, "kind/active", {
    control: { controller: "controller", fence: "1".padStart(19, "0"), spec: "s", sums: [3, 4] },
  })
  await w.message("kind/active", { kind: "update", id: "u1" })
  await w.commit(owner, w.item(active, { phase: "active" }, { append: ["entry"] }))
  await w.start("kind/ready")
  w.now += 1000
  return { owner, active: await w.read("kind/active") }
}

const nexts: ReadonlyArray<Next> = [
  { phase: "active" },
  { phase: "ready" },
  { phase: "parked", due: { after: 10 }, on: ["go"] },
  { phase: "ended", outcome: "late", retention: 10 },
]
/** Every kind of commit, each with all that it may write. */
function commits(w: World, run: LoadedRun): ReadonlyArray<CommitItem> {
  return nexts.flatMap((next) => {
    const answers = [{ id: "u1", answer: "late" }]
    return [
      w.item(run, next, { append: ["late"], journal: "keep", answers }),
      w.item(run, next, { append: ["late"], journal: "keep", body: "late", consumed: 1, answers }),
      w.item(run, next, { journal: "clear", body: "late", consumed: 1, answers }),
    ]
  })
}

type Verb = (w: World, engine: Engine, owner: ShardOwner, scene: Scene) => Promise<ReadonlyArray<unknown>>

/** What a worker can do to a shard; each answers one status per call that it made. */
const verbs: Readonly<Record<"claim" | "release" | "take" | "commit" | "forward" | "trim", Verb>> = {
  claim: async (w, engine, owner) => {
    const from = { session: owner.session, epoch: owner.epoch }
    const replies = await engine.claim(w.pool, [{ shard: 0, session: "thief", from, knownEpoch: 0 }])
    return replies.map((reply) => (reply.status === "refused" ? "stale" : reply.status))
  },
  release: async (w, engine, owner) => await engine.release(w.pool, [owner]),
  take: async (w, engine, owner) => {
    const groups = [true, false].map((timers) => ({ ...owner, limit: 10, timers, addresses: ["kind/active"] }))
    return (await engine.take(w.pool, groups)).map((reply) => reply.status)
  },
  commit: async (w, engine, owner, { active }) => {
    const replies = await engine.commit(
      w.pool,
      commits(w, active).map((item) => ({ ...owner, items: [item] })),
    )
    return replies.flat().map((reply) => reply.status)
  },
  forward: async (w, engine, owner) => {
    const sent = [{ address: "kind/ended", run: (await w.read("kind/ended")).run, link: "link" }]
    return (await engine.forward(w.pool, [{ ...owner, sent, limit: 10 }])).map((reply) => reply.status)
  },
  trim: async (w, engine, owner) => await engine.trim(w.pool, [{ ...owner, limit: 100 }]),
}

const strangers: Readonly<Record<string, (owner: ShardOwner) => ShardOwner>> = {
  "the epoch before": (owner) => ({ ...owner, epoch: owner.epoch - 1 }),
  "an epoch to come": (owner) => ({ ...owner, epoch: owner.epoch + 1 }),
  "no epoch": (owner) => ({ ...owner, epoch: 0 }),
  "another session": (owner) => ({ ...owner, session: "s2" }),
  "a session with the same beginning": (owner) => ({ ...owner, session: "s" }),
  "no session": (owner) => ({ ...owner, session: "" }),
}

function fenceTest(name: string, store: () => TestStore): void {
  describe(`fence on ${name}`, () => {
    const world = worlds(store)

    for (const [verb, call] of Object.entries(verbs)) {
      test(`${verb} refuses strangers and changes nothing but the audit`, async () => {
        const w = world()
        const stage = await scene(w)
        const hints = new Heard<Hint>()
        await w.other.onHint(w.pool, 0, hints.listener)
        const before = await w.observe()
        for (const [stranger, make] of Object.entries(strangers)) {
          const replies = await call(w, w.other, make(stage.owner), stage)
          expect(new Set(replies), stranger).toEqual(new Set(["stale"]))
          expect(await w.observe(), stranger).toBe(before)
        }
        await w.engine.terminate(w.pool, [w.terminateItem("kind/active")])
        await hints.until((all) => all.length > 0)
        expect(
          hints.all.map((hint) => hint.type),
          "a refusal publishes nothing",
        ).toEqual(["terminated"])
      })

      test(`${verb} refuses who owned the shard before, after another claim and after a release`, async () => {
        const w = world()
        const stage = await scene(w)
        const next = await w.own(0, "s2", w.other)
        let before = await w.observe()
        expect(new Set(await call(w, w.engine, stage.owner, stage))).toEqual(new Set(["stale"]))
        expect(await w.observe()).toBe(before)
        await w.other.release(w.pool, [next])
        before = await w.observe()
        // The repetition of one's own release is no refusal, and changes nothing either.
        const expected = verb === "release" ? "released" : "stale"
        expect(new Set(await call(w, w.other, next, stage))).toEqual(new Set([expected]))
        expect(await w.observe()).toBe(before)
      })

      test(`${verb} changes something for the owner, or the tests above prove nothing`, async () => {
        const w = world()
        const stage = await scene(w)
        const before = await w.observe()
        const replies = await call(w, w.engine, stage.owner, stage)
        expect(replies).not.toContain("stale")
        expect(await w.observe()).not.toBe(before)
      })
    }

    test("on a shard that nobody claimed every verb is refused", async () => {
      const w = world()
      const stage = await scene(w)
      const before = await w.observe()
      for (const [verb, call] of Object.entries(verbs)) {
        const nobody = { shard: 5, session: "s1", epoch: stage.owner.epoch }
        if (verb !== "claim") expect(new Set(await call(w, w.engine, nobody, stage)), verb).toEqual(new Set(["stale"]))
      }
      expect(await w.observe()).toBe(before)
    })

    test("a commit to another run or revision is a conflict and changes nothing", async () => {
      const w = world()
      const { owner, active } = await scene(w)
      const before = await w.observe()
      const others = {
        "another run": { ...active, run: `${active.run}x` },
        "the beginning of the run's id": { ...active, run: active.run.slice(0, -1) },
        "another revision": { ...active, revision: "1.999" },
        "no revision": { ...active, revision: "" },
        "another address": { ...active, address: "kind/nobody" },
        "a run that is ready": { ...active, address: "kind/ready", run: (await w.read("kind/ready")).run },
        "a run that sleeps": { ...(await w.read("kind/due")) },
        "a run that ended": { ...(await w.read("kind/ended")) },
      }
      for (const [what, run] of Object.entries(others)) {
        for (const item of commits(w, run)) {
          const reply = await w.commit(owner, item)
          expect(reply.status, `${what}, ${JSON.stringify(item)}`).toBe("conflict")
        }
        expect(await w.observe(), what).toBe(before)
      }
    })

    test("a write of an attempt whose record was written since is refused, whatever it writes", async () => {
      const w = world()
      const { owner, active } = await scene(w)
      await w.commit(owner, w.item(active, { phase: "ready" }, { body: "newer" }))
      found((await w.take(owner, { limit: 10 })).runs.find((run) => run.address === active.address))
      const before = await w.observe()
      for (const item of commits(w, active)) expect((await w.commit(owner, item)).status).toBe("conflict")
      expect(await w.observe()).toBe(before)
    })
  })
}

let file: Awaited<ReturnType<typeof fileStore>>
beforeAll(async () => {
  file = await fileStore()
})
afterAll(() => file.clean())

fenceTest("a file", () => file)
fenceTest("memory", memoryStore)

describeRedis("Redis", () => {
  let store: TestStore | undefined
  fenceTest("Redis", () => (store ??= redisStore()))
})

test("the verbs above are all worker scripts of the Redis driver", () => {
  const workers = Object.values(scripts).filter((script) => script.caller === "worker")
  expect(workers.map((script) => script.name).toSorted()).toEqual(Object.keys(verbs).toSorted())
  for (const script of workers) expect(script.source).toMatch(/^#!lua flags=allow-oom\n/)
})
