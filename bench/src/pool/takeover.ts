/** How long jobs stand still when a worker dies, freezes or drains, and whether two workers ever ran one: all on crews of three. */
import type { StoreName } from "../command.ts"
import { Crew } from "./crew.ts"
import type { Found } from "./found.ts"
import type { Stage } from "../stage.ts"

const jobs = 2_000

/** The most aggressive settings that docs/guarantees.md names. */
const fastProbe = { probeMs: 25, reconnectGraceMs: 60 } as const
const shortLease = { leaseMs: 1_000 } as const

const ms = (value: number): string => `${value.toFixed(0)} ms`

export const measureTakeovers = async (stage: Stage, store: StoreName, runs: number, found: Found): Promise<void> => {
  await withCrew(stage, store, {}, found, async (crew) => {
    for (let run = 1; run <= runs; run++) {
      const crash = found.add("takeoverCrashMs", await crew.kill())
      const { p50, p99 } = await crew.drain()
      found.add("handoverP50Ms", p50)
      found.add("handoverP99Ms", p99)
      const handover = `handover p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} ms`
      stage.say(`${store} ${run}/${runs}: crash ${ms(crash)}, ${handover}`)
      // the longest wait: once is enough for a look
      if (stage.quick && store === "sqlite") continue
      stage.say(`${store} ${run}/${runs}: freeze ${ms(found.add("takeoverFreezeMs", await crew.freeze()))}`)
    }
  })
  await withCrew(stage, store, fastProbe, found, async (crew) => {
    for (let run = 1; run <= runs; run++)
      stage.say(`${store} ${run}/${runs}: crash, fast probe: ${ms(found.add("takeoverCrashFastMs", await crew.kill()))}`)
  })
  await withCrew(stage, store, shortLease, found, async (crew) => {
    for (let run = 1; run <= runs; run++)
      stage.say(`${store} ${run}/${runs}: freeze, lease of 1 s: ${ms(found.add("takeoverFreezeFastMs", await crew.freeze()))}`)
  })
}

const withCrew = async (
  stage: Stage,
  store: StoreName,
  worker: Readonly<Record<string, number>>,
  found: Found,
  body: (crew: Crew) => Promise<void>,
): Promise<void> => {
  const crew = await Crew.open(stage, { store, worker, jobs })
  try {
    await body(crew)
    found.add("overlapWrites", await crew.overlapWrites())
    const { evidence } = crew
    const { ms: overlap, text } = evidence.overlap()
    const settled = found.add("thawSettleMs", evidence.thawSettleMs())
    const piece = found.add("frozenPieceMs", evidence.frozenPieceMs())
    const user = `overlap ${found.add("overlapUserMs", overlap).toFixed(2)} ms (${text})`
    const apart = `after a thaw all had settled in ${ms(settled)}, and what the freeze had stopped in the middle went on for ${piece.toFixed(2)} ms`
    stage.say(`${store}, ${JSON.stringify(worker)}: ${user}; ${apart}; ${crew.summary()}`)
  } finally {
    await crew.end()
  }
}
