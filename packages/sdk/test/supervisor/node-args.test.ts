import { expect, test } from "vitest"
import { nodeArgs } from "../../src/supervisor/node-args.ts"

test("a worker process has more room for young objects, unless somebody has chosen it", () => {
  expect(nodeArgs(["--conditions=source"])).toEqual(["--conditions=source", "--max-semi-space-size=32"])
  expect(nodeArgs(["--max_semi_space_size=8"])).toEqual(["--max_semi_space_size=8"])
  expect(nodeArgs([], "--enable-source-maps --max-semi-space-size=128")).toEqual([])
})
