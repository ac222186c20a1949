import { describe, expect, test } from "vitest"
import { idealMoves, shardMoves } from "../src/moves.ts"
import type { ScriptRecord, Timed, WorkerRecord } from "../src/records.ts"

const loads = (...counts: number[]) => new Map(counts.map((count, index) => [`w${index + 1}`, count]))

describe("the smallest number of moves", () => {
  test("is what a lost worker held", () => {
    expect(idealMoves(loads(86, 85, 85), ["w1", "w3"])).toBe(85)
  })

  test("is the share of those who join", () => {
    expect(idealMoves(loads(128, 128), ["w1", "w2", "w3", "w4"])).toBe(128)
    expect(idealMoves(loads(86, 85, 85), ["w1", "w2", "w3", "w4"])).toBe(64)
    expect(idealMoves(loads(64, 64, 64, 64), ["w1", "w2", "w3", "w4", "w5"])).toBe(51)
  })

  test("is nothing when nothing changes, and the rest when one joins as another leaves", () => {
    expect(idealMoves(loads(86, 85, 85), ["w1", "w2", "w3"])).toBe(0)
    expect(idealMoves(loads(86, 85, 85), ["w1", "w2", "w4"])).toBe(85)
  })
})

describe("moves, and the smallest number of them,", () => {
  /** Twelve shards, at first of a and b; `claims` are [time, worker, shards]. */
  const judged = (
    claims: ReadonlyArray<readonly [number, string, ReadonlyArray<number>]>,
    assigned: ReadonlyArray<readonly [number, ReadonlyArray<string>]>,
    last: ReadonlyArray<string>,
  ) => {
    const workers: Record<string, Array<Timed<WorkerRecord>>> = {}
    const note = (t: number, worker: string, record: WorkerRecord) => (workers[worker] ??= []).push({ t: String(t), ...record })
    for (const worker of ["a", "b", "c", "d"]) note(0, worker, { type: "joined", session: `session of ${worker}` })
    for (const [t, worker, shards] of [[1, "a", [0, 1, 2, 3, 4, 5]] as const, [1, "b", [6, 7, 8, 9, 10, 11]] as const, ...claims])
      for (const shard of shards) note(t, worker, { type: "shard", event: "claimed", shard })
    for (const [t, names] of [[0, ["a", "b"]] as const, ...assigned])
      note(t, "a", { type: "assigned", workers: names.map((name) => `session of ${name}`) })
    const script: Array<Timed<ScriptRecord>> = [
      { t: "10", type: "settled", workers: ["a", "b"] },
      { t: "100", type: "settled", workers: last },
    ]
    const { moved, ideal } = shardMoves({ workers, script })
    return [moved, ideal]
  }
  const all = ["a", "b", "c", "d"]
  const c = [20, "c", [4, 5, 10, 11]] as const

  test("are of one change when the pool saw those who were added together as one", () => {
    const claims = [
      [20, "c", [3, 4, 5]],
      [20, "d", [9, 10, 11]],
    ] as const
    expect(judged(claims, [[15, all]], all)).toEqual([6, 6])
    // The same where who wrote the assignment could not tell.
    expect(judged(claims, [], all)).toEqual([6, 6])
  })

  test("are of two changes when the second came later", () => {
    const assigned = [
      [15, ["a", "b", "c"]],
      [25, all],
    ] as const
    // 4 of each of three, then 3 of each of four.
    expect(judged([c, [30, "d", [3, 9, 11]]], assigned, all)).toEqual([7, 7])
  })

  test("ask no more of a change than what it had moved when the next one came", () => {
    const assigned = [
      [15, ["a", "b", "c"]],
      [25, all],
    ] as const
    const claims = [
      [20, "c", [4]],
      [30, "c", [5, 10]],
      [30, "d", [3, 9, 11]],
    ] as const
    expect(judged(claims, assigned, all)).toEqual([6, 6])
  })

  test("do not hide what moved without need", () => {
    const assigned = [
      [15, ["a", "b", "c"]],
      [25, all],
    ] as const
    // One of two shards that b and a exchange.
    expect(judged([c, [22, "a", [6]], [22, "b", [0]], [30, "d", [3, 9, 11]]], assigned, all)).toEqual([9, 7])
    // A new assignment of the same workers is no change.
    expect(
      judged(
        [
          [20, "b", [0]],
          [30, "a", [0]],
        ],
        [[15, ["b", "a"]]],
        ["a", "b"],
      ),
    ).toEqual([2, 0])
  })
})
