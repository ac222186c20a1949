/** Runs a case on the real runtime, in a test environment, with or without something that goes wrong. */
import { randomUUID } from "node:crypto"
import { retry } from "../../../src/define/index.ts"
import { makeClient } from "../../../src/gen.ts"
import { addressOf, shardOf } from "../../../src/key.ts"
import type { Outcome as StoredOutcome } from "../../../src/runtime/body.ts"
import { parseBody } from "../../../src/runtime/body.ts"
import type { Calls, TestEnv, TestFaults } from "../../../src/testing/index.ts"
import { createTestEnv, replay } from "../../../src/testing/index.ts"
import { contract, helperContract, helperStub, RejectedError, stub, stubWith } from "../fixture.ts"
import { childHandlers } from "./child.ts"
import type { Ways } from "./handler.ts"
import { combine, failOrNot, Handler, labelOf, Sight } from "./handler.ts"
import type { Observed, Outcome } from "./model.ts"
import type { Action, Case, Program } from "./program.ts"
import { attempts, backOffMs, restMs } from "./program.ts"

export interface Trial {
  readonly observed: Observed
  /** Steps of which the handler got several results, and children that were started several times. */
  readonly recomputed: ReadonlyArray<string>
  readonly calls: Calls
}

const shards = 4
const epoch = Date.UTC(2026, 0, 1)

const ways: Ways = {
  together: (job, op, branches) =>
    combine(
      op,
      branches.map(({ run }) => run(job)),
    ),
  flaky: failOrNot,
}

const jobOf = (program: Program, sight: Sight) =>
  stubWith(retry.fixed({ every: backOffMs, attempts }), program.timeout as object).implement({
    init: () => ({ count: 0, log: [] }),
    run: (job: any) => new Handler(program, sight, ways).run(job),
    updates: {
      add: (job: any, by: number) => {
        if (by < 0) throw new RejectedError({ reason: "below 0" })
        return (job.state.count += by)
      },
    },
  } as never)

const activities = stub.activities({
  shout: (call: any, input: string) => {
    const [fails, declared] = input.split(" ")
    if (call.attempt > Number(fails)) return "ok"
    throw declared === "true" ? new RejectedError({ reason: input }) : new Error(input)
  },
  work: () => "not used",
} as never)

/** Timers and promises of this process, so that a message has arrived when the clock goes on. */
const turns = async (): Promise<void> => {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve))
}

const storedOutcome = (text: string | undefined): Outcome | undefined => {
  if (text === undefined) return undefined
  const outcome = JSON.parse(text) as StoredOutcome & { readonly unread?: ReadonlyArray<string> }
  const value = { done: "value", failed: "error", timedOut: "of", cancelled: "", terminated: "" }[outcome.type]
  const found = (outcome as unknown as Record<string, unknown>)[value]
  const error = found as { readonly tag: string; readonly message: string }
  const told = outcome.type !== "failed" ? (found as string) : error.tag === "Error" ? error.message : error.tag
  return { type: outcome.type, value: told, unread: outcome.unread ?? [] }
}

class Client {
  readonly #env: TestEnv
  readonly #handle: any
  readonly #program: Program
  readonly answers: Array<Promise<string>> = []

  constructor(env: TestEnv, handle: any, program: Program) {
    this.#env = env
    this.#handle = handle
    this.#program = program
  }

  async act(action: Action): Promise<void> {
    await this.#env.advance(action.gap)
    const sent = this.#send(action)
    await (action.do === "add" ? turns() : sent)
    await this.#env.settle()
  }

  async #send(action: Action): Promise<void> {
    const refused = (error: unknown): string => labelOf(error)
    switch (action.do) {
      case "note":
        await this.#handle.signal.note(action.text).catch(refused)
        break
      case "stop":
        await this.#handle.signal.stop().catch(refused)
        break
      case "cancel":
        await this.#handle.cancel("enough").catch(refused)
        break
      case "add":
        this.answers.push(this.#handle.update.add(action.by, { timeout: 20_000 }).then(String, refused))
        break
      case "history":
        await this.#replay()
    }
  }

  /** A history taken at any moment fits the code that made it. */
  async #replay(): Promise<void> {
    const history = JSON.parse(JSON.stringify(await this.#handle.history()))
    if (history.phase !== "ended") await replay(history, jobOf(this.#program, new Sight(() => 0)))
  }

  async #read(kind: string, key: string) {
    const [run] = await this.#env.engine.read("test", [{ shard: shardOf(key, shards), address: addressOf(kind, key) }], { full: true })
    if (run === undefined) throw new Error(`the run of ${kind}/${key} is gone`)
    return run
  }

  async #outcomeOf(key: string): Promise<string> {
    const outcome = storedOutcome((await this.#read("helper", key)).outcome)
    if (outcome === undefined) return "lives"
    return { failed: outcome.value, cancelled: "Cancelled", terminated: "Terminated" }[outcome.type] ?? outcome.type
  }

  async observe(sight: Sight): Promise<Observed> {
    const run = await this.#read("sample", this.#handle.key)
    const children = await Promise.all([...sight.children.keys()].map(async (key) => [key, await this.#outcomeOf(key)] as const))
    return {
      outcome: storedOutcome(run.outcome),
      state: parseBody(run.body).state ?? { count: 0, log: [] },
      steps: Object.fromEntries([...sight.seen].map(([id, { at }]) => [id, at])),
      undone: [...sight.undone].toSorted(),
      answers: await Promise.all(this.answers),
      children: Object.fromEntries(children),
    }
  }
}

export const tryOut = async ({ program, script }: Case, faults: TestFaults = {}): Promise<Trial> => {
  let time = (): number => 0
  const sight = new Sight(() => time())
  const helper = helperStub.implement(childHandlers((key, run) => sight.child(key).add(run)) as never)
  const env = await createTestEnv({ jobs: [jobOf(program, sight), helper], activities: [activities], now: new Date(epoch), faults })
  time = () => env.now().getTime() - epoch
  try {
    const handle = await makeClient(env, { sample: contract, helper: helperContract }).sample.start(
      { id: randomUUID() },
      program.after === undefined ? {} : { after: program.after },
    )
    const client = new Client(env, handle, program)
    for (const action of script) await client.act(action)
    await client.act({ do: "cancel", gap: restMs })
    await env.advance(restMs)
    return { observed: await client.observe(sight), recomputed: sight.twice, calls: env.calls }
  } finally {
    await env.close()
  }
}
