/**
 * What a worker has opened of its shared resources (api rule 10): one for each first key field, for all jobs of that tenant, which are all on one
 * shard.
 *
 * - U1 At most one of a resource is open, opens or closes for a tenant; the next one is opened when the one before is closed (W5).
 * - U2 It stays open while it has users, and `idle` longer. A handler uses it until it settles, a resource until that is closed.
 * - U3 A failing `open` fails those that wait for it; the next use opens anew.
 * - U4 It is closed before its shard is released, after the handlers of the shard have settled.
 */
import { BadOption, Deposed } from "../errors.ts"
import type { OwnedShard } from "../pool/consumer.ts"
import { runAs } from "../pool/work.ts"
import type { Effects } from "./effects.ts"
import { LazyAbort } from "./lazy-abort.ts"
import type { SharedResource } from "./shared.ts"

/** What one handler, or one resource, uses. */
export class Uses {
  readonly shares = new Set<Share>()
  /** It has settled: what it asked for and did not await is not for it any more. */
  over = false
}

/** One that is open, opens or closes. */
class Share {
  readonly resource: SharedResource
  readonly tenant: string
  readonly shard: OwnedShard
  readonly abort = new AbortController()
  /** Closed, or never opened. */
  readonly gone = Promise.withResolvers<void>()
  readonly value: Promise<unknown>
  opened = false
  closing = false
  users = 0
  idle: ReturnType<typeof setTimeout> | undefined

  constructor(resource: SharedResource, tenant: string, shard: OwnedShard, open: (share: Share) => Promise<unknown>) {
    this.resource = resource
    this.tenant = tenant
    this.shard = shard
    this.value = open(this)
  }
}

export interface SharesOptions {
  readonly effects: Effects
  /** A `close` failed: that changes nothing. */
  readonly onCloseFailed: (tenant: string, error: unknown) => void
}

export class Shares {
  readonly #options: SharesOptions
  readonly #shares = new Map<SharedResource, Map<string, Share>>()
  /** The same by shard: each that is given up asks for its own. */
  readonly #byShard = new Map<OwnedShard, Set<Share>>()

  constructor(options: SharesOptions) {
    this.#options = options
  }

  /** `abortSignal`: of who waits for it. */
  async use(given: unknown, tenant: string, shard: OwnedShard, uses: Uses, abortSignal: AbortSignal): Promise<unknown> {
    const shared = checkShared(given)
    for (;;) {
      abortSignal.throwIfAborted()
      shard.abortSignal.throwIfAborted()
      if (uses.over)
        throw new Deposed(`the handler that asked for what the jobs of ${tenant} share has ended. Await job.use before run returns.`)
      const known = this.#shares.get(shared)?.get(tenant)
      if (known === undefined || (known.shard === shard && !known.closing))
        return await this.#join(known ?? this.#open(shared, tenant, shard), uses, abortSignal)
      // one that closes, or is still that of an earlier epoch of the shard (U1)
      await unlessAborted(known.gone.promise, abortSignal)
    }
  }

  #join(share: Share, uses: Uses, abortSignal: AbortSignal): Promise<unknown> {
    if (!uses.shares.has(share)) {
      uses.shares.add(share)
      share.users++
      clearTimeout(share.idle)
    }
    return share.opened ? share.value : unlessAborted(share.value, abortSignal)
  }

  #open(resource: SharedResource, tenant: string, shard: OwnedShard): Share {
    const share = new Share(resource, tenant, shard, async ({ abort }) => {
      const doubt = shard.confirmed()
      if (doubt !== undefined) await doubt
      if (!shard.trusted()) throw new Deposed(`this worker no longer owns shard ${shard.shard}: the jobs of ${tenant} go on elsewhere.`)
      return runAs(workOf(tenant), () => this.#options.effects.settle(resource.open(tenant, abort.signal), abort))
    })
    entryOf(this.#shares, resource, () => new Map<string, Share>()).set(tenant, share)
    entryOf(this.#byShard, shard, () => new Set<Share>()).add(share)
    // those that wait come after it: a use that follows a failure must not meet what failed
    share.value.then(
      () => {
        share.opened = true
        if (share.users === 0) this.#rest(share)
      },
      () => this.#remove(share),
    )
    return share
  }

  /** The user has settled. */
  release(uses: Uses): void {
    uses.over = true
    for (const share of uses.shares) {
      share.users--
      if (share.users === 0 && share.opened) this.#rest(share)
    }
    uses.shares.clear()
  }

  #rest(share: Share): void {
    if (share.closing) return
    const { tenant, resource } = share
    clearTimeout(share.idle)
    share.idle = setTimeout(
      () => void this.#close(share, new Deposed(`what the jobs of ${tenant} share was closed: nobody used it for ${resource.idleMs} ms.`)),
      resource.idleMs,
    )
    share.idle.unref()
  }

  async #close(share: Share, reason: unknown): Promise<void> {
    if (share.closing) return share.gone.promise
    share.closing = true
    clearTimeout(share.idle)
    share.abort.abort(reason)
    const { resource, tenant } = share
    try {
      const value = await share.value.catch(() => this.#remove(share))
      if (share.opened) await runAs(workOf(tenant), () => this.#options.effects.settle(resource.close?.(value), new LazyAbort()))
    } catch (error) {
      this.#options.onCloseFailed(tenant, error)
    }
    this.#remove(share)
  }

  #remove(share: Share): void {
    const { resource, tenant, shard } = share
    const tenants = this.#shares.get(resource)
    if (tenants?.get(tenant) === share && tenants.delete(tenant) && tenants.size === 0) this.#shares.delete(resource)
    const beside = this.#byShard.get(shard)
    if (beside?.delete(share) === true && beside.size === 0) this.#byShard.delete(shard)
    share.gone.resolve()
  }

  /** The shard is being given up: what its tenants share should end, while their handlers settle. */
  abort(shard: OwnedShard, reason: unknown): void {
    for (const share of this.#byShard.get(shard) ?? []) share.abort.abort(reason)
  }

  /** All handlers of the shard have settled (U4). */
  async close(shard: OwnedShard, reason: unknown): Promise<void> {
    const open = this.#byShard.get(shard)
    if (open !== undefined) await Promise.all(Array.from(open, (share) => this.#close(share, reason)))
  }
}

const checkShared = (given: unknown): SharedResource => {
  if (typeof given === "object" && given !== null && "_tag" in given && given._tag === "Shared") return given as SharedResource
  throw new BadOption(
    `expected job.use to get what \`shared({ open, … })\` of @ponos/sdk gave, got: ${given === null ? "null" : typeof given}`,
  )
}

/** Who is at work while user code opens or closes: no job of the tenant in particular. */
const workOf = (tenant: string): { readonly kind: string; readonly key: string } => ({ kind: "shared", key: tenant })

const entryOf = <K, V>(map: Map<K, V>, key: K, make: () => V): V => {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}

/** Who waits stops at its abort, and what it waits for goes on for the others. */
const unlessAborted = <A>(promise: Promise<A>, signal: AbortSignal): Promise<A> =>
  new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    signal.addEventListener("abort", abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort))
  })
