/**
 * An engine whose payloads go through a chain of codecs: the layers above see plain text, the store what the codecs make of it. Payloads are
 * opaque to drivers (E5), so that all of them can be wrapped in one place.
 *
 * - C1 A verb that is repeated must send the same texts, or the store takes it for another one (E3): what was encoded for a commit's item is kept
 *   with the item for as long as that lives. The other verbs are known by their ids.
 * - C2 A text that cannot be read stays as it is: its run is reported and left alone when its body is parsed, and the others of the batch go on.
 */
import type { CommitItem, Engine, Hint, LoadedRun, Message, RunRecord } from "./engine.ts"
import { sameOrigin } from "./open.ts"
import type { CodecChain } from "../codec/codec.ts"

/** Channels whose texts are payloads; the others carry versions and numbers. */
const carriesPayload = (channel: string): boolean => /^(requests|replies|cancels):/.test(channel)

export const codedEngine = (engine: Engine, chain: CodecChain): Engine => {
  const encode = (pool: string, place: string, text: string): string => chain.encode(text, `${pool}/${place}`)
  const strict = (pool: string, place: string, text: string): string => chain.decode(text, `${pool}/${place}`)
  const decode = (pool: string, place: string, text: string): string => {
    try {
      return strict(pool, place, text)
    } catch {
      return text
    }
  }
  const message = (pool: string, address: string, one: Message): Message => ({ ...one, payload: decode(pool, address, one.payload) })
  const record = <R extends RunRecord>(pool: string, run: R): R => ({
    ...run,
    body: decode(pool, run.address, run.body),
    outcome: run.outcome === undefined ? undefined : decode(pool, run.address, run.outcome),
  })
  const loaded = (pool: string, run: LoadedRun): LoadedRun => ({
    ...record(pool, run),
    inbox: run.inbox.map((one) => message(pool, run.address, one)),
    journal: run.journal.map((entry) => decode(pool, run.address, entry)),
  })
  const sent = new WeakMap<CommitItem, CommitItem>()
  const item = (pool: string, given: CommitItem): CommitItem => {
    const known = sent.get(given)
    if (known !== undefined) return known
    const { address, next, body } = given
    const coded: CommitItem = {
      ...given,
      append: given.append.map((entry) => encode(pool, address, entry)),
      ...(body === undefined ? {} : { body: encode(pool, address, body) }),
      next: next.phase === "ended" ? { ...next, outcome: encode(pool, address, next.outcome) } : next,
      answers: given.answers.map(({ id, answer }) => ({ id, answer: encode(pool, id, answer) })),
    }
    sent.set(given, coded)
    return coded
  }
  const verbs: Partial<Engine> = {
    start: (pool, items) =>
      engine.start(
        pool,
        items.map(({ signal, ...one }) => ({
          ...one,
          body: encode(pool, one.address, one.body),
          ...(signal === undefined ? {} : { signal: { ...signal, payload: encode(pool, one.address, signal.payload) } }),
        })),
      ),
    async message(pool, items) {
      const replies = await engine.message(
        pool,
        items.map((one) => ({ ...one, payload: encode(pool, one.address, one.payload) })),
      )
      return replies.map((reply, n) =>
        reply.answer === undefined ? reply : { ...reply, answer: strict(pool, items[n]?.id ?? "", reply.answer) },
      )
    },
    terminate: (pool, items) =>
      engine.terminate(
        pool,
        items.map((one) => ({ ...one, outcome: encode(pool, one.address, one.outcome) })),
      ),
    link: async (pool, items) =>
      (await engine.link(pool, items)).map((reply, n) =>
        reply.outcome === undefined ? reply : { ...reply, outcome: decode(pool, items[n]?.address ?? "", reply.outcome) },
      ),
    forward: async (pool, groups) =>
      (await engine.forward(pool, groups)).map((reply) =>
        reply.status === "stale"
          ? reply
          : { ...reply, entries: reply.entries.map((one) => ({ ...one, outcome: decode(pool, one.address, one.outcome) })) },
      ),
    read: async (pool, items, options) => (await engine.read(pool, items, options)).map((run) => run && loaded(pool, run)),
    answers: async (pool, items) =>
      (await engine.answers(pool, items)).map((answer, n) => (answer === undefined ? undefined : strict(pool, items[n]?.id ?? "", answer))),
    async list(pool, shard, cursor, limit) {
      const page = await engine.list(pool, shard, cursor, limit)
      return { ...page, runs: page.runs.map((run) => record(pool, run)) }
    },
    take: async (pool, groups) =>
      (await engine.take(pool, groups)).map((reply) =>
        reply.status === "taken" ? { ...reply, runs: reply.runs.map((run) => loaded(pool, run)) } : reply,
      ),
    commit: (pool, groups) =>
      engine.commit(
        pool,
        groups.map((group) => ({ ...group, items: group.items.map((one) => item(pool, one)) })),
      ),
    onHint: (pool, shard, listener) =>
      engine.onHint(pool, shard, (hint: Hint) =>
        listener(hint.type === "message" ? { ...hint, message: message(pool, hint.address, hint.message) } : hint),
      ),
    publish: (pool, channel, text) => engine.publish(pool, channel, carriesPayload(channel) ? encode(pool, "bus", text) : text),
    subscribe: (pool, channel, listener) =>
      engine.subscribe(pool, channel, carriesPayload(channel) ? (text) => listener(decode(pool, "bus", text)) : listener),
  }
  const coded = new Proxy(engine, {
    get(target, name) {
      const own = (verbs as Record<string | symbol, unknown>)[name]
      if (own !== undefined) return own
      const value: unknown = Reflect.get(target, name)
      return typeof value === "function" ? (value.bind(target) as unknown) : value
    },
  })
  sameOrigin(engine, coded)
  return coded
}
