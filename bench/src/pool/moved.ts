/** How many shards move when an eleventh member joins and when it leaves, on real members: each claim is a move. */
import type { StoreName } from "../command.ts"
import type { Child } from "../child.ts"
import type { Found } from "./found.ts"
import { until, type Stage } from "../stage.ts"

const shards = 256
const processes = 3
const members = 10
/** Longer than changes of the members are collected (`settleMs`). */
const quietMs = 600

interface Counted {
  readonly loads: ReadonlyArray<number>
  readonly claims: number
}

export const measureMoved = async (stage: Stage, store: StoreName, runs: number, found: Found): Promise<void> => {
  const [name, address] = [stage.name(), stage.store(store)]
  const children = Array.from({ length: processes }, () => stage.spawn("members.ts", [name, address]))
  const child = (number: number): Child => children[number % processes] as Child
  try {
    for (let number = 0; number < members; number++) await child(number).call("add")
    let before = await settled(children, members)
    for (let run = 0; run < runs; run++) {
      await child(members + run).call("add")
      const joined = await settled(children, members + 1)
      const join = joined.claims - before.claims
      // what it must get at least
      found.add("movedRatioJoin", join / Math.floor(shards / (members + 1)))
      const held = await child(run).call<number>("stop")
      before = await settled(children, members)
      const leave = before.claims - joined.claims
      found.add("movedRatioLeave", leave / held)
      stage.say(`${store} ${run + 1}/${runs}: ${join} shards moved to the eleventh member, ${leave} when one of ${held} left`)
    }
  } finally {
    await Promise.all(children.map((one) => one.end()))
  }
}

/** Waits until all shards are owned, evenly, by so many, and nothing was claimed for a while. */
const settled = async (children: ReadonlyArray<Child>, count: number): Promise<Counted> => {
  let last: Counted = { loads: [], claims: -1 }
  let since = performance.now()
  await until(`${count} members hold all shards evenly`, async () => {
    const loads = (await Promise.all(children.map((child) => child.call<ReadonlyArray<number>>("loads")))).flat()
    const claims = (await Promise.all(children.map((child) => child.call<number>("claims")))).reduce((a, b) => a + b, 0)
    const even = loads.length === count && loads.reduce((a, b) => a + b, 0) === shards && Math.max(...loads) - Math.min(...loads) <= 1
    if (!even || claims !== last.claims) since = performance.now()
    last = { loads, claims }
    return performance.now() - since >= quietMs
  })
  return last
}
