/** Client process: node client.ts <contender> <namespace> <url>. */
import { serve } from "../child.ts"
import { clock } from "../clock.ts"
import { loadContender, type BenchClient } from "./contender.ts"

const [name = "", namespace = "", url = ""] = process.argv.slice(2)
let opening: Promise<BenchClient> | undefined
let started = 0

const open = (): Promise<BenchClient> => (opening ??= loadContender(name).then((contender) => contender.openClient(url, namespace)))
const nextId = (): string => `tenant-${started++}`

/** `inFlight` loops that each start the next job when the last one was accepted, while `goesOn`. */
const startAll = async (client: BenchClient, inFlight: number, goesOn: () => boolean): Promise<void> => {
  const lane = async (): Promise<void> => {
    while (goesOn()) await client.start(nextId(), clock())
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
}

serve({
  /** Opens the client and starts the first job: what happens once is not measured. */
  open: async () => void (await (await open()).start(nextId(), clock())),

  /** Starts jobs for `ms`; gives how many, and how long it took until all were accepted. */
  async lanes({ inFlight, ms }: { inFlight: number; ms: number }): Promise<{ readonly count: number; readonly ms: number }> {
    const client = await open()
    const from = clock()
    const before = started
    await startAll(client, inFlight, () => clock() < from + ms)
    return { count: started - before, ms: clock() - from }
  },

  /** Starts `count` jobs as fast as `inFlight` at a time go; gives when the first was started. */
  async burst({ inFlight, count }: { inFlight: number; count: number }): Promise<number> {
    const client = await open()
    let left = count
    const from = clock()
    await startAll(client, inFlight, () => left-- > 0)
    return from
  },

  /** Starts `count` jobs, `perSecond` evenly spaced, whether earlier ones were accepted or not. */
  async paced({ perSecond, count }: { perSecond: number; count: number }): Promise<void> {
    const client = await open()
    const pending: Array<Promise<unknown>> = []
    const from = clock()
    while (pending.length < count) {
      const due = from + (pending.length * 1_000) / perSecond
      const wait = due - clock()
      if (wait > 0) await new Promise((done) => setTimeout(done, wait))
      pending.push(client.start(nextId(), clock()))
    }
    await Promise.all(pending)
  },

  close: async () => (await opening)?.close(),
})
