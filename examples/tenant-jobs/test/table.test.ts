import { describe, expect, test } from "vitest"
import { tableLines, type View } from "../src/table.ts"

const view: View = {
  elapsedMs: 12_345,
  act: "SIGKILL w2",
  workers: [
    { name: "w1", state: "running", shards: 128, tenants: 3 },
    { name: "w2", state: "killed", shards: 0, tenants: 0 },
  ],
  tenants: ["t-001", "t-002", "t-003"].map((id, i) => ({ id, owner: "w1", delivered: 10 * i, lag: i })),
  moves: ["85 shards → w1 (w2 85)"],
}

describe("the live table", () => {
  test("shows workers, tenants in columns, and the last moves", () => {
    expect(tableLines(view, { columns: 60, rows: 40 })).toMatchInlineSnapshot(`
      [
        "",
        " 12.3 s  SIGKILL w2   3 tenants, 30 events delivered, 3 on",
        "",
        "  w1   running    128 shards     3 tenants",
        "  w2   killed       0 shards     0 tenants",
        "",
        "tenant  owner events lag  tenant  owner events lag",
        "t-001   w1         0   0  t-002   w1        10   1",
        "t-003   w1        20   2",
        "",
        "last moves",
        "  85 shards → w1 (w2 85)",
      ]
    `)
  })

  test("fits into the terminal, and keeps those that lag most", () => {
    const many = { ...view, tenants: Array.from({ length: 500 }, (_, i) => ({ id: `t-${i}`, owner: "w1", delivered: 0, lag: i })) }
    const lines = tableLines(many, { columns: 80, rows: 24 })
    expect(lines.length).toBeLessThan(24)
    expect(lines.join("\n")).toContain("t-499")
    expect(lines.join("\n")).toMatch(/… and \d+ more/)
    for (const line of lines) expect(line.length).toBeLessThan(80)
  })
})
