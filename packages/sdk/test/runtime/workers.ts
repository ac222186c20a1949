/** The workers of a test, in this process: short leases, as tests wait for conditions and not for defaults. They end with all that is stored of their pool. */
import { createWorker } from "../../src/index.ts"
import { removePool } from "./cleanup.ts"

type Worker = Awaited<ReturnType<typeof createWorker>>

export class Workers {
  readonly #store: string
  readonly #pool: string
  readonly #client: { close(): Promise<void> }
  readonly #all: Array<Worker> = []

  constructor(store: string, pool: string, client: { close(): Promise<void> }) {
    this.#store = store
    this.#pool = pool
    this.#client = client
  }

  async add(options: object): Promise<Worker> {
    const given = { pool: this.#pool, store: this.#store, signals: false, leaseMs: 1_000, sweepMs: 200, settleMs: 20, ...options }
    const worker = await createWorker(given as never)
    this.#all.push(worker)
    return worker
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((worker) => worker.close()))
    await this.#client.close()
    await removePool(this.#store, this.#pool)
  }
}
