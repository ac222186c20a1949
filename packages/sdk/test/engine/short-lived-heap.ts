/** Prints by how much the old generation grows, MB, while entries come and go in maps and sets of both sorts. */
import { getHeapSpaceStatistics } from "node:v8"
import { ShortLivedMap, ShortLivedSet } from "../../src/engine/short-lived.ts"

const oldBytes = (): number => getHeapSpaceStatistics().find((space) => space.space_name === "old_space")?.space_used_size ?? 0

/** At most a hundred are there at a time, of about 300 bytes each. */
const growth = (add: (n: number, item: object) => void, remove: (n: number, item: object) => void): number => {
  const there: Array<object> = []
  const from = oldBytes()
  let most = 0
  for (let n = 0; n < 200_000; n++) {
    const item = { list: Array.from({ length: 32 }, () => n) }
    there[n % 100] = item
    add(n, item)
    const leaving = there[(n + 1) % 100]
    if (leaving !== undefined) remove(n - 99, leaving)
    if (n % 1_000 === 0) most = Math.max(most, oldBytes() - from)
  }
  return Math.round(most / 10_000) / 100
}

const map = new ShortLivedMap<number, object>()
const set = new ShortLivedSet<object>()
const plainMap = new Map<number, object>()
const plainSet = new Set<object>()
const grown = {
  map: growth(
    (n, item) => map.set(n, item),
    (n) => map.delete(n),
  ),
  set: growth(
    (_, item) => set.add(item),
    (_, item) => set.delete(item),
  ),
  plainMap: growth(
    (n, item) => plainMap.set(n, item),
    (n) => plainMap.delete(n),
  ),
  plainSet: growth(
    (_, item) => plainSet.add(item),
    (_, item) => plainSet.delete(item),
  ),
}
console.log(JSON.stringify(grown))
