import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"
import fc from "fast-check"
import { afterAll, describe, expect, test } from "vitest"
import { ArraySplitter, jsonFile } from "../src/sources/json-file.ts"
import { ndjsonFile } from "../src/sources/ndjson-file.ts"
import { postgresRows } from "../src/sources/postgres-rows.ts"
import { type SourceRow, toSource } from "../src/sources/source.ts"
import { sqliteRows } from "../src/sources/sqlite-rows.ts"

const directory = mkdtempSync(join(tmpdir(), "ponos-sources-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const file = (name: string, text: string): string => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}
const collect = async <A>(rows: AsyncIterable<A>): Promise<ReadonlyArray<A>> => {
  const found: Array<A> = []
  for await (const row of rows) found.push(row)
  return found
}
const all = async (desired: unknown): Promise<ReadonlyArray<SourceRow>> => collect(toSource(desired).rows())
const values = async (desired: unknown): Promise<ReadonlyArray<unknown>> => (await all(desired)).map(({ value }) => value)

describe("iterables and functions", () => {
  test("arrays, sets, async iterables and functions of them are read from the beginning each time", async () => {
    const source = toSource(new Set([1, 2]))
    expect([(await collect(source.rows())).length, (await collect(source.rows())).length]).toEqual([2, 2])
    expect(await values({ [Symbol.asyncIterator]: async function* () { yield* [1, 2] } })).toEqual([1, 2]) // prettier-ignore
    expect(await values(() => [3])).toEqual([3])
    expect(await values(async () => [4])).toEqual([4])
    expect(await values(async function* () { yield 5 })).toEqual([5]) // prettier-ignore
    expect(await values(() => jsonFile(file("called.json", "[6]")))).toEqual([6])
  })

  test("rows carry their position", async () => {
    expect((await all(["a", "b"])).map(({ position }) => position)).toEqual(["row 1", "row 2"])
  })

  test("what can be read once only is refused, and so is what cannot be read", () => {
    const generator = (function* () {
      yield 1
    })()
    expect(() => toSource(generator)).toThrow(/expected desired to be readable at each pass, got a generator or stream/)
    expect(() => toSource(42)).toThrow(/expected desired to be an array.*got: number/)
    expect(() => toSource(null)).toThrow(/got: null/)
  })

  test("a function that gives something else fails when it is read", async () => {
    await expect(all(() => 7)).rejects.toThrow(/expected the function `desired` to give .* got: number/)
  })
})

describe("jsonFile", () => {
  test("reads an array of objects", async () => {
    expect(await values(jsonFile(file("a.json", '\uFEFF [ {"a": "],[\\"{"} , [1,[2]], 3 ]\n')))).toEqual([{ a: '],["{' }, [1, [2]], 3])
    expect(await values(jsonFile(pathToFileURL(file("b.json", "[]"))))).toEqual([])
  })

  test("any JSON array, cut into pieces anywhere, gives its elements", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.integer({ min: 1, max: 7 }), fc.constantFrom(0, 2), (array, size, indent) => {
        const text = JSON.stringify(array, undefined, indent)
        const splitter = new ArraySplitter()
        const found: Array<unknown> = []
        for (let i = 0; i < text.length; i += size)
          for (const element of splitter.push(text.slice(i, i + size))) found.push(JSON.parse(element))
        expect(splitter.closed).toBe(true)
        expect(found).toEqual(JSON.parse(text))
      }),
    )
  })

  test.each([
    ["cut.json", '[{"a":1},{"a":', /whole JSON array, but it ends before its "\]"/],
    ["object.json", '{"a":1}', /expected one JSON array of objects, got: "\{/],
    ["broken.json", "[{},{a}]", /expected row 2 of .*broken.json to be JSON/],
    ["trailing.json", "[{},]", /expected row 2/],
    ["twice.json", "[][]", /expected one JSON array/],
  ])("%s fails as a whole: what follows is in doubt", async (name, text, message) => {
    await expect(all(jsonFile(file(name, text)))).rejects.toThrow(message)
  })

  test("a file that is not there fails", async () => {
    await expect(all(jsonFile(join(directory, "none.json")))).rejects.toThrow(/ENOENT/)
  })
})

describe("ndjsonFile", () => {
  test("reads a row a line; a damaged line is one damaged row", async () => {
    const rows = await all(ndjsonFile(file("a.ndjson", '{"a":1}\r\n\n{"a":\n{"a":3}')))
    expect(rows.map(({ position, value }) => [position, value])).toEqual([
      ["line 1", { a: 1 }],
      ["line 3", undefined],
      ["line 4", { a: 3 }],
    ])
    expect(rows[1]?.error?.message).toMatch(/expected line 3 of .* to be JSON/)
  })
})

describe("sqliteRows", () => {
  const path = join(directory, "tenants.db")
  const db = new DatabaseSync(path)
  db.exec("CREATE TABLE tenants (id TEXT, poll INTEGER, note TEXT); INSERT INTO tenants VALUES ('a', 1, NULL), ('b', 2, 'x')")

  test("columns are fields by name, NULL is an absent field", async () => {
    expect(await values(sqliteRows(path, "SELECT id AS tenantId, poll, note FROM tenants ORDER BY id"))).toEqual([
      { tenantId: "a", poll: 1 },
      { tenantId: "b", poll: 2, note: "x" },
    ])
  })

  test("a map makes the input; where it throws, that row is damaged", async () => {
    const rows = await all(
      sqliteRows(path, "SELECT id, poll FROM tenants ORDER BY id", (row) => {
        if (row["poll"] === 1) throw new Error("no")
        return { tenantId: row["id"], enabled: row["poll"] === 2 }
      }),
    )
    expect(rows[0]?.error?.message).toBe("the map of sqliteRows threw: no")
    expect(rows[1]?.value).toEqual({ tenantId: "b", enabled: true })
  })

  test("sees what others wrote since the last pass, and does not write itself", async () => {
    const source = sqliteRows(path, "SELECT id FROM tenants")
    expect(await values(source)).toHaveLength(2)
    db.exec("INSERT INTO tenants VALUES ('c', 3, NULL)")
    expect(await values(source)).toHaveLength(3)
    await expect(all(sqliteRows(path, "DELETE FROM tenants RETURNING id"))).rejects.toThrow(/readonly/)
  })

  test("a missing file or a wrong query fails", async () => {
    await expect(all(sqliteRows(join(directory, "none.db"), "SELECT 1"))).rejects.toThrow(/unable to open/)
    await expect(all(sqliteRows(path, "SELECT missing FROM tenants"))).rejects.toThrow(/no such column/)
    expect(() => sqliteRows(path, " ")).toThrow(/expected the second argument of sqliteRows to be an SQL query/)
  })
})

describe("postgresRows", () => {
  test.each([
    ["tenants.db", "got: a text that does not begin so"],
    ["http://user:sesame@host/app", "got: a text that does not begin so"],
    ["postgres://user:ses/ame@host/app", "got: an address that cannot be read"],
    ["postgres://user:12/sesame@host/app", "got: an address that cannot be read"],
  ])("refuses %s, and does not repeat it", (address, message) => {
    const refused = (): unknown => postgresRows(address, "SELECT 1")
    expect(refused).toThrow(
      /expected the first argument of postgresRows to be an address as in postgres:\/\/user:password@host:5432\/database/,
    )
    expect(refused).toThrow(message)
    expect(refused).not.toThrow(/ses|tenants/)
  })

  test("refuses what is no text and what is no query; its name hides the user", () => {
    expect(() => postgresRows(undefined as never, "SELECT 1")).toThrow(/got: undefined/)
    expect(() => postgresRows("postgres://host/app", " ")).toThrow(/expected the second argument of postgresRows to be an SQL query/)
    expect(postgresRows("postgresql://user:sesame@host:1/app?sslmode=require", "SELECT 1").name).toBe("table in postgres://host:1/app")
  })
})
