import { describe, expect, test } from "vitest"
import { readArgs, shownStore } from "../src/args.ts"

const read = (text: string, environment = {}) => readArgs(text.split(" ").filter(Boolean), environment)

describe("the command line", () => {
  test("has defaults, and takes values after a space or an equals sign", () => {
    expect(read("")).toEqual({ tenants: 40, seconds: 30, json: false, help: false, store: undefined, tenantsDb: undefined })
    expect(read("--tenants 12 --seconds=8 --json", { PONOS_STORE: "redis://localhost:1" })).toEqual({
      tenants: 12,
      seconds: 8,
      json: true,
      help: false,
      store: "redis://localhost:1",
      tenantsDb: undefined,
    })
  })

  test.each([
    ["--tenant 3", "expected only the flags --tenants, --seconds, --tenants-db, --json, --help, got: --tenant (did you mean --tenants?)"],
    ["now", "expected only the flags --tenants, --seconds, --tenants-db, --json, --help, got: now"],
    ["--tenants many", "expected --tenants to be an integer from 4 to 5000, got: many"],
    ["--tenants 3", "expected --tenants to be an integer from 4 to 5000, got: 3"],
    ["--seconds", "expected --seconds to be an integer from 5 to 3600, got: nothing"],
    ["--seconds 1e1", "expected --seconds to be an integer from 5 to 3600, got: 1e1"],
    ["--json=yes", "expected --json without a value, got: --json=yes"],
    ["--json --json", "expected --json once, got it twice"],
  ])("refuses %s", (text, message) => {
    expect(() => read(text)).toThrow(message)
  })

  test("refuses a store that several processes cannot share, and one that is none", () => {
    expect(() => read("", { PONOS_STORE: "memory:x" })).toThrow("which a memory: store cannot join")
    expect(() => read("", { PONOS_STORE: "http://u:secret@h" })).toThrow(
      "expected PONOS_STORE to be redis://…, rediss://… or file:…, got: http://h",
    )
  })

  test("takes a Postgres for the tenants; the flag comes before the environment", () => {
    const environment = { PONOS_TENANTS_DB: "postgres://user:secret@host/a" }
    expect(read("", environment).tenantsDb).toBe("postgres://user:secret@host/a")
    expect(read("--tenants-db=postgresql://host/b?options=-c%20x=1", environment).tenantsDb).toBe("postgresql://host/b?options=-c%20x=1")
    expect(read("", { PONOS_TENANTS_DB: "" }).tenantsDb).toBeUndefined()
    const expected = "expected --tenants-db, or PONOS_TENANTS_DB, to be postgres://user:password@host:port/database, got: "
    expect(() => read("--tenants-db mysql://user:secret@host")).toThrow(`${expected}mysql:…`)
    expect(() => read("--tenants-db tenants.db")).toThrow(`${expected}tenants.db`)
    expect(() => read("--tenants-db")).toThrow(`${expected}nothing`)
    expect(() => read("", { PONOS_TENANTS_DB: "postgres://user:sec/ret@host" })).toThrow(`${expected}postgres:…`)
  })

  test("never shows a password", () => {
    expect(shownStore("redis://user:se@cret@host:6379/0")).not.toContain("cret")
    expect(shownStore("rediss://:secret@host:6379")).toBe("rediss://host:6379")
    expect(shownStore("file:/tmp/a@b.db")).toBe("file:/tmp/a@b.db")
  })
})
