/**
 * Does what the ends of runs ask for (X1): the owner of a shard reads its outbox, tells outcomes to those who wait for them, ends children with
 * their parents, and takes out what is done. It may die at any moment, and its successor does the rest again: each of these counts once, by the id
 * of the message or of the run.
 */
import type { Engine } from "../engine/engine.ts"
import type { OutboxEntry } from "../engine/links.ts"
import { lateMs } from "../engine/shard-batcher.ts"
import { StoreUnavailable } from "../errors.ts"
import { splitAddress } from "../key.ts"
import type { Options } from "../options.ts"
import type { OwnedShard } from "../pool/consumer.ts"
import { settlesWithin } from "../pool/loop.ts"
import type { RuntimeEvent } from "./host.ts"
import { errorOf } from "./host.ts"
import type { Link } from "./link.ts"
import { parseLink } from "./link.ts"
import { terminationOf } from "./termination.ts"

export interface ForwarderHost {
  readonly engine: Engine
  readonly pool: string
  readonly limits: Options
  readonly onEvent: (event: RuntimeEvent) => void
}

/** Entries in memory at once, each with an outcome. */
const batch = 16

export class Forwarder {
  readonly #host: ForwarderHost
  /** Shards whose outbox is being sent; true: something came meanwhile. */
  readonly #busy = new Map<OwnedShard, boolean>()
  /** Entries that are still being sent to a server that did not answer in time. */
  readonly #late = new Set<string>()

  constructor(host: ForwarderHost) {
    this.#host = host
  }

  get busy(): boolean {
    return this.#busy.size > 0
  }

  /** The outbox of the shard holds something. What fails here is tried again when the sweep sees it there. */
  send(shard: OwnedShard): void {
    if (this.#busy.has(shard)) {
      this.#busy.set(shard, true)
      return
    }
    this.#busy.set(shard, false)
    this.#drain(shard)
      .catch(() => undefined)
      .finally(() => {
        const again = this.#busy.get(shard) === true
        this.#busy.delete(shard)
        if (again) this.send(shard)
      })
  }

  async #drain(shard: OwnedShard): Promise<void> {
    const { engine, pool } = this.#host
    const { shard: number, session, epoch } = shard
    let sent: ReadonlyArray<OutboxEntry> = []
    do {
      if (!shard.trusted()) return
      const [reply] = await engine.forward(pool, [{ shard: number, session, epoch, sent, limit: batch }])
      if (reply?.status !== "forwarded") return
      const done = await Promise.all(reply.entries.map((entry) => this.#inTime(shard, entry)))
      sent = reply.entries.filter((_, n) => done[n])
    } while (sent.length > 0)
  }

  async #inTime(shard: OwnedShard, entry: OutboxEntry): Promise<boolean> {
    if (this.#host.engine.serverOf === undefined) return await this.#deliver(shard, entry)
    const id = `${entry.run}\t${entry.link}`
    if (this.#late.has(id)) return false
    const delivered = this.#deliver(shard, entry)
    if (await settlesWithin(delivered, lateMs)) return await delivered
    this.#late.add(id)
    void delivered.then((done) => {
      this.#late.delete(id)
      // Counts once, and leaves the outbox.
      if (done) this.send(shard)
    })
    return false
  }

  /** True: the entry is done, or can never be. Never rejects. */
  async #deliver(shard: OwnedShard, entry: OutboxEntry): Promise<boolean> {
    let link: Link | undefined
    try {
      link = parseLink(entry.link)
      if (!shard.trusted()) return false
      if (link.do === "tell") return await this.#tell(entry, link)
      return await this.#close(entry, link)
    } catch (error) {
      if (StoreUnavailable.is(error)) return false
      const { kind, key } = splitAddress(entry.address)
      this.#host.onEvent({ type: "unsent", kind, key, run: entry.run, error: errorOf(error) })
      // a link that nobody can read would only be reported again
      return link === undefined
    }
  }

  /** A refusal is an answer: who waited has ended. Only a full inbox is tried again. */
  async #tell({ run, outcome }: OutboxEntry, { shard, to, run: waiter, name }: Extract<Link, { readonly do: "tell" }>): Promise<boolean> {
    const { engine, pool, limits } = this.#host
    const [reply] = await engine.message(pool, [
      {
        shard,
        address: to,
        run: waiter,
        kind: "result",
        name,
        id: `end:${run}:${name}`,
        payload: outcome,
        inboxLimit: limits.inboxLimit + limits.inboxReserve,
        retention: limits.requestRetentionMs,
      },
    ])
    return reply?.status !== "full"
  }

  /** A start that is still on its way must not come after it. */
  async #close(parent: OutboxEntry, link: Exclude<Link, { readonly do: "tell" }>): Promise<boolean> {
    const { engine, pool, limits } = this.#host
    const { shard, to: address, run } = link
    const reason = `its parent ${parent.address} has ended`
    await engine.forbid(pool, [{ shard, run, retention: limits.requestRetentionMs }])
    if (link.do === "terminate") {
      await engine.terminate(pool, [terminationOf({ shard, address, run }, reason, limits.resultRetentionMs)])
      return true
    }
    const message = { shard, address, run, kind: "cancel", name: "cancel", id: `close:${run}`, payload: JSON.stringify(reason) } as const
    const [reply] = await engine.message(pool, [
      { ...message, inboxLimit: limits.inboxLimit + limits.inboxReserve, retention: limits.requestRetentionMs },
    ])
    return reply?.status !== "full"
  }
}
