/** Errors as data, and the synchronous handlers: updates and queries. */
import { describe, expect, test } from "vitest"
import type { Message } from "../../src/engine/engine.ts"
import { NotAllowed } from "../../src/errors.ts"
import { answerQuery, applyUpdate } from "../../src/runtime/answers.ts"
import { activityFailed, decodeError, encodeError, parseBody, printBody, runFailed } from "../../src/runtime/body.ts"
import { jobKind } from "../../src/runtime/kind.ts"
import { StateHolder } from "../../src/runtime/state-holder.ts"
import { contract, GoneError, RejectedError, stub } from "./fixture.ts"

const { errors } = contract.schemas

describe("errors as data", () => {
  test("a declared error comes back as its class, with its fields", () => {
    const data = encodeError(new GoneError({ status: 410 }), errors)
    expect(JSON.parse(JSON.stringify(data))).toEqual(data)
    const error = decodeError(data, errors, contract.failures, runFailed("a"))
    expect(error).toBeInstanceOf(GoneError)
    expect(error).toMatchObject({ _tag: "Gone", status: 410 })
  })

  test("plain data with a declared tag is that error too", () => {
    expect(encodeError({ _tag: "Gone", status: 404 }, errors)).toMatchObject({ tag: "Gone", fields: { _tag: "Gone", status: 404 } })
  })

  test("any other error keeps name, code and message inside the fallback", () => {
    expect(encodeError(new TypeError("x"), errors)).toEqual({ tag: "TypeError", message: "x" })
    expect(encodeError(new NotAllowed("x"), errors)).toMatchObject({ tag: "NotAllowed", code: "ponos:not_allowed" })
    expect(encodeError("text", errors)).toEqual({ tag: "Error", message: "text" })
    const failed = decodeError(encodeError(new TypeError("x"), errors), errors, contract.failures, runFailed("sample/a"))
    expect(failed).toMatchObject({ _tag: "RunFailed", message: expect.stringContaining("sample/a ended with an error") as string })
    const tries = [{ try: 1, failed: "2026-01-01T00:00:00.000Z", tag: "Error", message: "x" }]
    const given = decodeError({ tag: "Error", message: "x", tries }, {}, {}, activityFailed("shout"))
    expect(given).toMatchObject({ _tag: "ActivityFailed", details: { tries } })
  })

  test("a body comes back as it was", () => {
    const body = {
      input: { id: "a" },
      state: null,
      iteration: 3,
      failures: 1,
      waiting: { due: 5, on: ["x"] },
      backoff: true,
      wake: { by: "start" as const },
    }
    expect(parseBody(printBody(body))).toEqual(body)
  })
})

const sample = (handlers: object) => jobKind(stub.implement({ run: () => undefined, init: () => ({ count: 1, log: [] }), ...handlers }))
const add = (by: unknown): Message => ({ number: 1, kind: "update", name: "add", id: "u", at: 5, payload: JSON.stringify(by) })
const context = { key: "a", run: "r", input: {} }
const apply = (handler: ((job: any, by: number) => unknown) | undefined, by: unknown = 2, bytes = 1_000) => {
  const holder = new StateHolder({ count: 1, log: [] as Array<string> })
  const answer = applyUpdate(sample(handler === undefined ? {} : { updates: { add: handler } }), holder, context, add(by), bytes)
  return { answer, state: holder.state }
}
const unchanged = { count: 1, log: [] }

describe("updates", () => {
  test("change the state when they return", () => {
    expect(apply((job, by) => (job.state.count += by))).toEqual({ answer: { ok: 3 }, state: { count: 3, log: [] } })
  })

  const throwing = (job: any): never => {
    job.state.log.push("changed")
    throw new RejectedError({ reason: "no" })
  }
  test.each([
    ["throw", throwing, 2, "Rejected"],
    ["are async", (job: any) => ((job.state.count = 9), Promise.resolve(9)), 2, "NotAllowed"],
    ["answer something else than declared", (job: any) => ((job.state.count = 9), "nine"), 2, "BadInput"],
    ["leave a state that does not match its type", (job: any) => ((job.state.count = "nine"), 9), 2, "BadInput"],
    ["leave a state over the limit", (job: any) => (job.state.log.push("x".repeat(2_000)), 9), 2, "PayloadTooLarge"],
    ["get an input that does not match its type", () => 9, "two", "BadInput"],
    ["have no handler", undefined, 2, "HandlerMissing"],
  ])("that %s leave the state as it was", (_, handler, by, tag) => {
    expect(apply(handler as never, by)).toMatchObject({ answer: { error: { tag } }, state: unchanged })
    expect(apply(handler as never, by).state).toEqual(unchanged)
  })
})

describe("queries", () => {
  const ask = (handler: unknown, body: object = { input: { id: "a" }, state: { count: 4, log: [] } }) =>
    answerQuery(sample({ queries: { count: handler } }), { key: "a", run: "r", body: body as never }, "count", undefined, 10_000)

  test("see the last committed state, and that of init before there is one", () => {
    expect(ask((view: any) => view.state.count)).toEqual({ ok: 4 })
    expect(ask((view: any) => view.state.count, { input: { id: "a" } })).toEqual({ ok: 1 })
    expect(ask((view: any) => Math.round(view.idleSeconds), { input: { id: "a" }, at: 4_000 })).toEqual({ ok: 6 })
  })

  test("that throw, are async, or are not there answer an error", () => {
    expect(ask(() => Promise.resolve(1))).toMatchObject({ error: { tag: "NotAllowed" } })
    expect(ask(undefined)).toMatchObject({ error: { tag: "HandlerMissing" } })
    expect(
      ask(() => {
        throw new Error("x")
      }),
    ).toMatchObject({ error: { tag: "Error", message: "x" } })
  })
})
