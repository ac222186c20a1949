import { describe, expect, test } from "vitest"
import { dueAt, emittedBy, eventBody } from "../src/emission.ts"
import { Receiver } from "../src/receiver.ts"

const event = (tenant: string, number: number) => ({ number, body: eventBody(tenant, number) })
const events = (tenant: string, ...numbers: number[]) => numbers.map((number) => event(tenant, number))
const receiver = () => new Receiver((tenant, { number, body }) => body === eventBody(tenant, number))

describe("a feed", () => {
  test("has emitted event n from the moment it is due, and numbers without a gap", () => {
    for (const tenant of ["acme", "t-001", "t-002"])
      for (let number = 1; number < 200; number++) {
        const due = dueAt(tenant, number, { meanMs: 200 })
        expect(emittedBy(tenant, due, { meanMs: 200 })).toBe(number)
        expect(emittedBy(tenant, due - 0.01, { meanMs: 200 })).toBe(number - 1)
      }
  })
})

describe("the receiver", () => {
  test("accepts an event once, by tenant and number", () => {
    const it = receiver()
    expect(it.receive({ tenant: "a", fence: 5n, events: events("a", 1, 2) })).toMatchObject({ status: 200, accepted: [1, 2] })
    expect(it.receive({ tenant: "a", fence: 5n, events: events("a", 2, 3) })).toMatchObject({
      status: 200,
      accepted: [3],
      redelivered: [2],
    })
    expect(it.receive({ tenant: "b", fence: 1n, events: events("b", 1) })).toMatchObject({ status: 200, accepted: [1] })
    expect(it.counts()).toEqual({ a: 3, b: 1 })
    expect(it.totals).toEqual({ redelivered: 1, staleRefused: 0 })
  })

  test("accepts an event once within one request too", () => {
    expect(receiver().receive({ tenant: "a", fence: 1n, events: events("a", 1, 1) })).toMatchObject({ accepted: [1], redelivered: [1] })
  })

  test("refuses an older fence whole, and keeps nothing of it", () => {
    const it = receiver()
    it.receive({ tenant: "a", fence: 9_000_000_000_000_000_001n, events: events("a", 1) })
    expect(it.receive({ tenant: "a", fence: 9_000_000_000_000_000_000n, events: events("a", 2) })).toMatchObject({
      status: 409,
      accepted: [],
    })
    expect(it.receive({ tenant: "b", fence: 1n, events: events("b", 1) }).status).toBe(200)
    expect(it.counts()).toEqual({ a: 1, b: 1 })
    expect(it.totals.staleRefused).toBe(1)
  })

  test("refuses what was not emitted like this", () => {
    const it = receiver()
    expect(it.receive({ tenant: "a", fence: 1n, events: [event("a", 1), event("b", 2)] })).toMatchObject({ status: 422, accepted: [] })
    expect(it.counts()).toEqual({ a: 0 })
  })
})
