/** `createClient`, for generated code: one member per job of the definition file. */
import { createHash } from "node:crypto"
import { unlisted } from "../engine/away-servers.ts"
import { InboxFull, RunEnded, RunExists } from "../errors.ts"
import { readOptions, refuseUnknown, toMillis } from "../options.ts"
import type { Engine, StartItem } from "../engine/engine.ts"
import { printBody } from "../runtime/body.ts"
import type { JobContract } from "../runtime/contract.ts"
import { codecOf } from "../runtime/contract.ts"
import { checkBytes } from "../runtime/size.ts"
import { checkPoolName } from "../key.ts"
import { addressOfInput, addressOfKey } from "../runtime/address.ts"
import { StatsReader, type PoolStats, type StatsOptions } from "../pool/stats/pool-stats.ts"
import { ClientCore } from "./core.ts"
import { Handle } from "./handle.ts"
import { checkHeaders } from "../runtime/interceptors.ts"
import { firstSignal } from "../runtime/start-request.ts"
import { judgeStart } from "../runtime/start-verdict.ts"
import { interceptCall } from "./interceptors.ts"
import { terminateRun } from "./terminate.ts"
import { Pace, readPage } from "./listing.ts"
import type { ClientOptions, ListOptions, Listed, Page, PageOptions, StartOptions } from "./options.ts"
import { checkListOptions, checkPageOptions, checkStartOptions, clientOptionNames } from "./options.ts"

/** Key of a job client's inner side, for the controller. */
export const internals: unique symbol = Symbol.for("ponos/internals") as never

/** A start, ready to be sent. */
export interface PreparedStart {
  readonly key: string
  readonly address: string
  readonly shard: number
  /** Body of a new run. */
  readonly body: string
  /** JSON text of the encoded input, members in canonical order. */
  readonly input: string
}

export interface JobClientInternals {
  engine(): Promise<Engine>
  readonly pool: string
  shards(): Promise<number>
  readonly contract: JobContract
  /** Encodes and checks an input; throws `BadInput`, `BadKey` or `PayloadTooLarge`. `shards` must be known. */
  prepare(input: unknown, shards: number): PreparedStart
}

/** JSON with the members of objects in one order, so that equal inputs have equal text. */
const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== "object" || value === null) return value
  const source = value as Record<string, unknown>
  return Object.fromEntries(
    Object.keys(source)
      .sort()
      .map((name) => [name, canonical(source[name])]),
  )
}

let runs = 0
const runPrefix = crypto.randomUUID().slice(0, 8) + Math.floor(performance.timeOrigin).toString(36)
/** A run id never used before: a random prefix of this process, its start, and a count. */
const newRunId = (): string => runPrefix + (runs++).toString(36)

/** The same for the same request, and not to be guessed from others. */
const runOfId = (address: string, id: string): string =>
  `i${createHash("sha256").update(`${address}\n${id}`).digest("base64url").slice(0, 22)}`

const noOptions: StartOptions = {}
const refusals = { InboxFull, RunEnded, RunExists }

export class JobClient {
  readonly kind: string
  readonly contract: JobContract
  readonly [internals]: JobClientInternals
  readonly #core: ClientCore

  constructor(core: ClientCore, contract: JobContract) {
    this.#core = core
    this.kind = contract.kind
    this.contract = contract
    this[internals] = {
      engine: () => core.engine(),
      pool: core.pool,
      shards: () => core.shards(),
      contract,
      prepare: (input, shards) => {
        // a source may have more than the job wants, say `select *`: that is left out
        const encoded = codecOf(contract.schemas.input).encode(input, `the input of ${contract.kind}`)
        const text = JSON.stringify(canonical(encoded))
        return { ...addressOfInput(contract, encoded, shards), body: printBody({ input: encoded }), input: text }
      },
    }
  }

  #encode(input: unknown): unknown {
    return codecOf(this.contract.schemas.input).encodeExact(input, `the input of ${this.kind}`)
  }

  /** Starts a run, or joins the live one of the key. The start is durable when this resolves. */
  async start(input: unknown, options: StartOptions = noOptions): Promise<Handle> {
    const { interceptors } = this.#core
    if (interceptors.length === 0) return this.#start(input, options)
    const { key } = addressOfInput(this.contract, this.#encode(input), 1)
    return interceptCall(interceptors, { type: "start", kind: this.kind, key, input }, (headers) =>
      this.#start(input, options, checkHeaders(headers)),
    )
  }

  async #start(input: unknown, options: StartOptions, headers?: Readonly<Record<string, string>>): Promise<Handle> {
    const core = this.#core
    if (options !== noOptions) checkStartOptions(options)
    const encoded = this.#encode(input)
    const { labels } = options
    const given = { input: encoded, ...(headers === undefined ? {} : { headers }), ...(labels === undefined ? {} : { labels }) }
    const body = checkBytes(printBody(given), core.options.payloadBytes, `the input of ${this.kind}`)
    const after = options.after === undefined ? undefined : toMillis(options.after, "after")
    const at = addressOfInput(this.contract, encoded, core.knownShards ?? (await core.shards()))
    if (!core.isAnnounced(this.kind)) await core.announceKind(this.kind)
    const { id } = options
    const run = id === undefined ? newRunId() : runOfId(at.address, id)
    const item: StartItem = { shard: at.shard, address: at.address, run, body }
    let asked: StartItem =
      after === undefined && options.ifEnded === undefined
        ? item
        : { ...item, ...(after === undefined ? {} : { after }), ...(options.ifEnded === undefined ? {} : { ifEnded: options.ifEnded }) }
    if (options.signal !== undefined) {
      const signal = firstSignal(this.contract, options.signal, options.ifRunning, core.options, () => `${run}.first`)
      asked = { ...asked, signal }
    }
    if (id !== undefined) asked = { ...asked, remember: core.options.requestRetentionMs }
    const { inboxLimit } = core.options
    let verdict = judgeStart(await core.start(asked), at.address, options.ifRunning, inboxLimit)
    while (verdict.do === "replace") {
      await terminateRun(core, at, "replaced by a start", verdict.run)
      verdict = judgeStart(await core.start(asked), at.address, options.ifRunning, inboxLimit)
    }
    if (verdict.do === "refuse") throw new refusals[verdict.tag](verdict.message, verdict.details)
    return new Handle(core, this.contract, at.key, () => Promise.resolve(at))
  }

  /** The handle of a key; nothing is sent. */
  get(key: unknown): Handle {
    // checked now, so that the mistake is seen where it is made; the shard is known later
    const { key: text } = addressOfKey(this.contract, key, 1)
    return new Handle(this.#core, this.contract, text, async () => addressOfKey(this.contract, key, await this.#core.shards()))
  }

  /**
   * All runs of this kind that match, ended ones that are retained too, in no order. Each that exists throughout comes at least once. Throws
   * `StoreUnavailable` after all others have come, when a primary of a cluster did not answer.
   */
  async *list(options: ListOptions = {}): AsyncGenerator<Listed> {
    checkListOptions(options)
    let left = options.limit ?? Number.POSITIVE_INFINITY
    const pace = new Pace()
    const unknown: Array<number> = []
    for (let cursor: string | undefined = ""; cursor !== undefined && left > 0;) {
      const page: Page = await this.#page({ ...options, cursor, limit: pageSize }, pace)
      for (const run of page.runs) if (left-- > 0) yield run
      unknown.push(...page.shardsUnknown)
      cursor = page.cursor
    }
    if (unknown.length > 0 && left > 0) throw unlisted("runs", unknown, await this.#core.shards(), {})
  }

  /** One page of them, for who shows them page by page. */
  async page(options: PageOptions = {}): Promise<Page> {
    checkPageOptions(options)
    return await this.#page(options, new Pace())
  }

  #page(options: PageOptions, pace: Pace): Promise<Page> {
    return interceptCall(this.#core.interceptors, { type: "list", kind: this.kind, input: options }, () =>
      readPage(this.#core, this.kind, options, options.cursor ?? "", options.limit ?? 100, pace),
    )
  }
}

const pageSize = 200

/** Checks the options of a client and of what embeds one. */
export const readClientOptions = (options: ClientOptions, where: string): void => {
  refuseUnknown(options, ["pool", "store", "engine", "codecs", "interceptors", ...clientOptionNames], where)
  checkPoolName(options.pool)
}

export const makeClient = (options: ClientOptions, contracts: Readonly<Record<string, JobContract>>): any => {
  readClientOptions(options, "createClient")
  const core = new ClientCore({ ...options, ...onlyGiven(options) })
  const close = (): Promise<void> => core.close()
  const jobs = Object.fromEntries(Object.entries(contracts).map(([name, contract]) => [name, new JobClient(core, contract)]))
  const reader = new StatsReader(options.pool, async () => ({ engine: await core.engine(), shards: await core.shards() }))
  const stats = (statsOptions?: StatsOptions): Promise<PoolStats> =>
    interceptCall(core.interceptors, { type: "stats", input: statsOptions }, () => reader.read(statsOptions))
  return { ...jobs, stats, close, [Symbol.asyncDispose]: close }
}

/** The options of the table that were given, checked. */
const onlyGiven = (options: ClientOptions): Record<string, number> =>
  readOptions(
    options as unknown as Record<string, unknown>,
    clientOptionNames.filter((name) => options[name] !== undefined),
  )
