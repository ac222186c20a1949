import { describe, expect, test } from "vitest"
import { readCommand, UsageError } from "../src/command.ts"

describe("the command line of the bench", () => {
  test("without arguments is the whole bench on a server of its own", () => {
    expect(readCommand([], {})).toEqual({
      bench: "start",
      workloads: ["starts", "endToEnd", "latency"],
      stores: ["redis"],
      runs: 3,
      quick: false,
      json: false,
      help: false,
      redis: undefined,
    })
  })

  test("takes values after a blank or an equals sign", () => {
    expect(readCommand(["start", "--runs", "5", "--only=starts,latency", "--json"], {})).toMatchObject({
      runs: 5,
      workloads: ["starts", "latency"],
      json: true,
    })
  })

  test("the bench pool is on both stores, with workloads and numbers of runs of its own", () => {
    expect(readCommand(["pool"], {})).toMatchObject({
      workloads: ["takeover", "moved", "latency", "parked"],
      stores: ["redis", "sqlite"],
      runs: 5,
    })
    expect(readCommand(["pool", "--quick", "--store", "sqlite"], {})).toMatchObject({ stores: ["sqlite"], runs: 1 })
    expect(readCommand(["pool", "--quick", "--runs", "2"], {})).toMatchObject({ runs: 2 })
  })

  test("the bench runtime is on three stores, or one of them", () => {
    expect(readCommand(["runtime"], {})).toMatchObject({
      workloads: ["starts", "endToEnd", "steps", "step", "signal", "parked"],
      stores: ["redis", "redis-everysec", "sqlite"],
      runs: 3,
    })
    expect(readCommand(["runtime", "--quick", "--store", "redis-everysec", "--only", "steps,parked"], {})).toMatchObject({
      workloads: ["steps", "parked"],
      stores: ["redis-everysec"],
      runs: 1,
    })
  })

  test.each([
    [["strat"], {}, "expected a bench to be one of start, pool, runtime, got: strat"],
    [["pool", "--store", "redis-everysec"], {}, "expected a store to be one of redis, sqlite"],
    [["runtime", "--only", "latency"], {}, "expected a workload of runtime to be one of starts"],
    [["pool", "--only", "starts"], {}, "expected a workload of pool to be one of takeover"],
    [["pool", "--store", "postgres"], {}, "expected a store to be one of redis, sqlite"],
    [["start", "--store", "sqlite"], {}, "expected --store sqlite with pool"],
    [["start", "start"], {}, "expected one bench, got two"],
    [["--quik"], {}, "did you mean --quick?"],
    [["--runs"], {}, "expected --runs to be an integer from 1 to 50, got: nothing"],
    [["--runs", "1.5"], {}, "got: 1.5"],
    [["--only", "endtoend"], {}, "did you mean endToEnd?"],
    [["--json", "--json"], {}, "expected --json once"],
    [["--quick=yes"], {}, "expected --quick without a value"],
    [[], { PONOS_BENCH_REDIS: "localhost:6379" }, "expected PONOS_BENCH_REDIS to be an address"],
  ])("refuses %j with %j", (args, environment, message) => {
    expect(() => readCommand(args, environment)).toThrow(UsageError)
    expect(() => readCommand(args, environment)).toThrow(message)
  })

  test("does not print a password", () => {
    expect(() => readCommand([], { PONOS_BENCH_REDIS: "http://user:secret@host" })).toThrow(/^(?!.*secret)/)
  })
})
