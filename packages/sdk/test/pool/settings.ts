export const shards = 16
/** As short as they may be, so that a rescue takes half a second. */
export const fast = { leaseMs: 500, watchMs: 50, settleMs: 20, sweepMs: 100 } as const
