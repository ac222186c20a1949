import { expect, test } from "vitest"
import { fenceText, specOf, sumsOf } from "../src/spec.ts"

test("hashes are stored with runs and must never change: known answers", () => {
  expect(specOf("")).toBe("47DEQpj8HBSa-_TI")
  expect(specOf('{"pollSeconds":5,"tenantId":"acme"}')).toBe("vcyPOk1QGd89ILw4")
  expect(sumsOf("tenant-feed/acme", "47DEQpj8HBSa-_TI")).toEqual([3540271440306, 13730814667267])
})

test("sums depend on address and spec, and stay under 44 bits", () => {
  const seen = new Set<number>()
  for (let n = 0; n < 1_000; n++) {
    for (const sum of sumsOf(`kind/${n % 100}`, `spec${Math.floor(n / 100)}`)) {
      expect(Number.isSafeInteger(sum) && sum >= 0 && sum < 2 ** 44).toBe(true)
      seen.add(sum)
    }
  }
  expect(seen.size).toBe(2_000)
})

test("fences compare as text in the order of their numbers", () => {
  const fences = [0n, 9n, 10n, 4_194_304n, 2n ** 62n, 2n ** 63n - 1n]
  expect(fences.map(fenceText)).toEqual(fences.map(fenceText).sort())
  expect(fenceText(2n ** 63n - 1n)).toHaveLength(19)
})
