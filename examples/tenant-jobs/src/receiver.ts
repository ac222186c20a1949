/**
 * The receiving side: idempotent, and guarded by the fence. It trusts nobody upstream of it.
 *
 * - R1 An event is accepted once by (tenant, number); one that comes again is counted, and answered like the first time.
 * - R2 A request whose fence is lower than the highest seen for its tenant is refused whole (409): its sender lost the tenant.
 * - R3 A request with an event that was never emitted, or has another content, is refused whole (422).
 */
import type { FeedEvent } from "./jobs.def.ts"

export interface Delivery {
  readonly tenant: string
  readonly fence: bigint
  readonly events: ReadonlyArray<FeedEvent>
}

export interface Receipt {
  readonly status: 200 | 409 | 422
  /** Numbers accepted by this request. */
  readonly accepted: ReadonlyArray<number>
  /** Numbers of this request that had been accepted before. */
  readonly redelivered: ReadonlyArray<number>
  readonly reason: string
}

interface Ledger {
  fence: bigint
  readonly accepted: Set<number>
}

export interface Totals {
  redelivered: number
  staleRefused: number
}

export class Receiver {
  readonly #ledgers = new Map<string, Ledger>()
  readonly #genuine: (tenant: string, event: FeedEvent) => boolean
  readonly totals: Totals = { redelivered: 0, staleRefused: 0 }

  /** `genuine` tells whether an event was emitted as it stands. */
  constructor(genuine: (tenant: string, event: FeedEvent) => boolean) {
    this.#genuine = genuine
  }

  receive({ tenant, fence, events }: Delivery): Receipt {
    const ledger = this.#ledgers.get(tenant) ?? { fence: 0n, accepted: new Set<number>() }
    this.#ledgers.set(tenant, ledger)
    if (fence < ledger.fence) {
      this.totals.staleRefused += 1
      return { status: 409, accepted: [], redelivered: [], reason: `fence ${fence} is older than ${ledger.fence}` }
    }
    ledger.fence = fence
    const damaged = events.find((event) => !this.#genuine(tenant, event))
    if (damaged !== undefined) {
      return { status: 422, accepted: [], redelivered: [], reason: `event ${damaged.number} of ${tenant} was not emitted like this` }
    }
    const accepted: number[] = []
    const redelivered: number[] = []
    for (const { number } of events) {
      if (ledger.accepted.has(number)) redelivered.push(number)
      else accepted.push(number)
      ledger.accepted.add(number)
    }
    this.totals.redelivered += redelivered.length
    return { status: 200, accepted, redelivered, reason: "" }
  }

  /** How many events of each tenant were accepted. */
  counts(): Record<string, number> {
    return Object.fromEntries([...this.#ledgers].map(([tenant, { accepted }]) => [tenant, accepted.size]))
  }
}
