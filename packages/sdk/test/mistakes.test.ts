/** What a caller may get wrong at the public API: each mistake is a tagged error that says what was expected and what came. */
import { afterAll, describe, expect, test } from "vitest"
import { makeClient } from "../src/gen.ts"
import { createWorker } from "../src/index.ts"
import { Pool } from "../src/pool/index.ts"
import { contract, startPool, stub } from "./runtime/fixture.ts"

const store = "memory:mistakes"
const client = makeClient({ pool: "mistakes", store }, { sample: contract })
afterAll(() => client.close())
const handle = client.sample.get("x")
const job = stub.implement({ init: () => ({ count: 0, log: [] }), run: (it: any) => it.done("") })
const worker = (options: unknown) => createWorker(options as never)
const workerWith = (options: object) => worker({ pool: "mistakes", store, jobs: [job], ...options })

const mistakes: ReadonlyArray<readonly [string, () => unknown, string]> = [
  ["createClient without options", () => makeClient(undefined as never, {}), "expected createClient to get its options as an object"],
  ["createClient with a text", () => makeClient("tenants" as never, {}), 'got: "tenants"'],
  [
    "a store that is no text",
    () => makeClient({ pool: "p", store: 5 as never }, { sample: contract }).sample.start({ id: "x" }),
    "expected store to be redis://…, rediss://…, redis+sentinel://…, file:… or memory:, got: number",
  ],
  ["start with an unknown option", () => client.sample.start({ id: "x" }, { aftr: 1 }), "got: `aftr` (did you mean after?)"],
  ["start with options that are none", () => client.sample.start({ id: "x" }, "now"), "expected start to get its options as an object"],
  ["start with another ifEnded", () => client.sample.start({ id: "x" }, { ifEnded: "join" }), 'expected ifEnded to be "start" or "reject"'],
  [
    "start with another ifRunning",
    () => client.sample.start({ id: "x" }, { ifRunning: 1 }),
    'expected ifRunning to be "join", "reject" or "replace"',
  ],
  ["signal with an unknown option", () => handle.signal.note("a", { ID: "1" }), "expected signal note to have only the options id"],
  ["signal with an empty id", () => handle.signal.note("a", { id: "" }), "expected id to be a text of 1 to 512 characters"],
  ["signal with a control character in its id", () => handle.signal.note("a", { id: "a\n" }), "without control characters"],
  ["update with an unknown option", () => handle.update.add(1, { timout: 1 }), "got: `timout` (did you mean timeout?)"],
  [
    "query with an unknown option",
    () => handle.query.count(undefined, { id: "1" }),
    "expected query count to have only the options timeout",
  ],
  ["result with an unknown option", () => handle.result({ timout: 1 }), "(did you mean timeout?)"],
  ["cancel with a reason that is no text", () => handle.cancel({ reason: "x" }), "expected the reason to be a text"],
  ["terminate with a reason that is no text", () => handle.terminate(5), "expected the reason to be a text, got: 5"],
  ["list with an unknown option", () => client.sample.list({ max: 1 }).next(), "expected list to have only the options limit"],
  ["list with a limit that is no number", () => client.sample.list({ limit: "1" }).next(), "expected limit to be a number from 0 on"],
  ["createWorker without options", () => worker(undefined), "expected createWorker to get an object with pool"],
  ["jobs that are no array", () => workerWith({ jobs: job }), "expected jobs to be an array, got: object"],
  ["a stub in place of an implementation", () => workerWith({ jobs: [stub] }), "expected jobs to hold what `implement(…)`"],
  ["activities in place of jobs", () => workerWith({ jobs: [stub.activities({})] }), "expected jobs to hold what `implement(…)`"],
  ["an implementation without run", () => workerWith({ jobs: [stub.implement({ init: () => ({}) })] }), "to have the function run"],
  ["an implementation without init", () => workerWith({ jobs: [stub.implement({ run: () => 0 })] }), "to have the function init"],
  [
    "an unknown handler",
    () => workerWith({ jobs: [stub.implement({ ...job.handlers, opn: () => 0 })] }),
    "the implementation of sample to have only the options init, open, close, run, updates, queries, got: `opn` (did you mean open?)",
  ],
  [
    "an undeclared update",
    () => workerWith({ jobs: [stub.implement({ ...job.handlers, updates: { ad: () => 0 } })] }),
    "(did you mean add?)",
  ],
  ["an activity that is no function", () => workerWith({ activities: [stub.activities({ shout: 1 })] }), "the function activities.shout"],
  [
    "controllers that are none",
    () => workerWith({ controllers: [{}] }),
    "expected controllers to be an array of what createController gave",
  ],
  ["onEvent that is no function", () => workerWith({ onEvent: 1 }), "expected onEvent to be a function, got: number"],
  ["signals that are no choice", () => workerWith({ signals: "no" }), "expected signals to be true or false, got: string"],
  ["a layer that is none", () => workerWith({ layer: {} }), "expected layer to be a Layer of effect"],
  [
    "a wrong weight of a group",
    () => workerWith({ groups: { eu: -1 } }),
    "expected the weight of group eu to be an integer from 1 to 100, got: -1",
  ],
  ["Pool.join with null", () => Pool.join("p", null as never), "expected Pool.join to get its options as an object"],
]

test.each(mistakes)("%s", async (_, call, message) => {
  const error = await Promise.resolve()
    .then(call)
    .catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ _tag: "BadOption", code: "ponos:bad_option", message: expect.stringContaining(message) as string })
})

describe("in a handler", () => {
  test.each([
    ["an unknown option of a step", (it: any) => it.step("s", () => 1, { retyr: 1 }), "(did you mean retry?)"],
    ["an unknown option of receive", (it: any) => it.receive("note", { timout: 1 }), "(did you mean timeout?)"],
    [
      "a name in `on` that no message has",
      (it: any) => it.again({ on: ["nte"] }),
      'signals and updates of sample (note, stop, add), got: ["nte"]',
    ],
    [
      "an activity's input over the limit",
      (it: any) => it.activities.shout("x".repeat(2_000)),
      "the input of activity shout to have at most 1024 bytes",
    ],
  ])("%s fails the attempt", async (name, run, message) => {
    const pool = startPool("memory:mistakes", `mistakes-${name.replaceAll(/\W/g, "-")}`)
    await pool.worker({ run }, { payloadBytes: 1_024, policy: { kind: "none", first: 0, factor: 1 } })
    const run1 = await pool.client.sample.start({ id: "x" })
    const error: unknown = await run1.result({ timeout: 10_000 }).catch((thrown: unknown) => thrown)
    await pool.close()
    expect(error).toMatchObject({ _tag: "RunFailed", message: expect.stringContaining(message) as string })
  })
})

test("an update that no worker answers says so, and that it is not lost", async () => {
  await client.sample.start({ id: "alone" })
  const answer = client.sample.get("alone").update.add(1, { timeout: 20 })
  await expect(answer).rejects.toMatchObject({
    _tag: "WaitTimeout",
    message: expect.stringContaining("no worker of pool mistakes answered") as string,
  })
})
