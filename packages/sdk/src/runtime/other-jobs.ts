/** `job.jobs`: what a handler can do with other jobs of its definition file. */
import type { DurationInput } from "../define/index.ts"
import { BadOption, NotAllowed } from "../errors.ts"
import { defaults, refuseUnknown, toMillis } from "../options.ts"
import { addressOfInput, addressOfKey } from "./address.ts"
import type { JobAddress } from "./address.ts"
import type { Lines } from "./ask-call.ts"
import { ask } from "./ask-call.ts"
import type { Attempt } from "./attempt.ts"
import type { Outcome } from "./body.ts"
import { printBody } from "./body.ts"
import type { DurableCall } from "./call.ts"
import type { JobContract } from "./contract.ts"
import { codecOf } from "./contract.ts"
import type { StartItem } from "../engine/engine.ts"
import type { LinkReply } from "../engine/links.ts"
import type { Headers } from "./interceptors.ts"
import { parseLink, printLink } from "./link.ts"
import { readOutcome } from "./outcome.ts"
import type { Answer } from "./question.ts"
import { refusal } from "./question.ts"
import type { Reach } from "./reach.ts"
import { checkBytes } from "./size.ts"
import type { AnyFirstSignal, IfRunning, Labels } from "./start-request.ts"
import { checkStart, firstSignal, refuse } from "./start-request.ts"
import type { StartVerdict } from "./start-verdict.ts"
import { judgeStart } from "./start-verdict.ts"
import { terminationOf } from "./termination.ts"

export interface ChildRequest {
  readonly onParentEnd?: "cancel" | "terminate" | "abandon"
  readonly after?: DurationInput
  readonly ifRunning?: IfRunning
  readonly ifEnded?: "start" | "reject"
  readonly labels?: Labels
  readonly signal?: AnyFirstSignal
}

/** The attempt, asked for when a call is made. */
export interface Asker {
  readonly iteration: number
  live(what: string): Attempt
}

const checkRequest = (request: ChildRequest): void => {
  refuseUnknown(request, ["onParentEnd", "after", "ifRunning", "ifEnded", "labels", "signal"], "start")
  checkStart(request)
  const { onParentEnd = "cancel" } = request
  if (onParentEnd !== "cancel" && onParentEnd !== "terminate" && onParentEnd !== "abandon")
    refuse("onParentEnd", `"cancel", "terminate" or "abandon"`, onParentEnd)
}

/** What the calls of one attempt share. */
interface Desk {
  readonly asker: Asker
  readonly lines: Lines
  /** Runs whose start is under way: they may not be there yet. */
  readonly starting: Set<string>
}

type Found = (shards: number) => JobAddress

export class OtherJob {
  readonly #desk: Desk
  readonly #contract: JobContract

  constructor(desk: Desk, contract: JobContract) {
    this.#desk = desk
    this.#contract = contract
  }

  get(key: unknown): OtherRun {
    const contract = this.#contract
    return new OtherRun(this.#desk, contract, (shards) => addressOfKey(contract, key, shards), undefined)
  }

  start(input: unknown, request: ChildRequest = {}): DurableCall<OtherRun> {
    const contract = this.#contract
    const attempt = this.#desk.asker.live(`a start of ${contract.kind}`)
    checkRequest(request)
    const after = request.after === undefined ? undefined : toMillis(request.after, "after")
    const encoded = codecOf(contract.schemas.input).encodeExact(input, `the input of ${contract.kind}`)
    const { labels } = request
    const body = (headers: Headers | undefined): string => {
      const given = { input: encoded, ...(headers === undefined ? {} : { headers }), ...(labels === undefined ? {} : { labels }) }
      return checkBytes(printBody(given), attempt.options.limits.payloadBytes, `the input of ${contract.kind}`)
    }
    body(attempt.options.body.headers)
    const signal =
      request.signal === undefined
        ? undefined
        : firstSignal(contract, request.signal, request.ifRunning, attempt.options.reach?.limits ?? defaults, () => "first")
    const find: Found = (shards) => addressOfInput(contract, encoded, shards)
    const { address, key } = find(1)
    if (request.ifRunning === "replace" && address === attempt.options.address)
      throw new BadOption(`${address} cannot replace itself: it would end before it has started the other run. Use job.again.`)
    return ask(attempt, this.#desk.asker.iteration, this.#desk.lines, {
      call: { type: "start", name: "", to: { kind: contract.kind, key } },
      name: `start ${address}`,
      to: address,
      repeatable: false,
      ask: async (reach, run, headers) => {
        this.#desk.starting.add(run)
        const item = { run, body: body(headers), ...(after === undefined ? {} : { after }) }
        try {
          // its id is made of that of the question, which is taken by the run, unless it has one
          return await this.#start(
            attempt,
            reach,
            find,
            signal === undefined ? item : { ...item, signal: { ...signal, id: request.signal?.id ?? `${run}.first` } },
            request,
          )
        } finally {
          this.#desk.starting.delete(run)
        }
      },
      read: (value) => new OtherRun(this.#desk, contract, find, (value as { readonly run: string }).run),
    })
  }

  /** Children that have ended make room for new ones: a run that lives for years starts many. */
  async #linkChild(attempt: Attempt, reach: Reach, link: string): Promise<LinkReply> {
    const { address, run } = attempt.options
    const own = { shard: attempt.shard.shard, address, run }
    const reply = await linkTo(reach, own, link)
    if (reply.links.length === 0) return reply
    const children = reply.links.flatMap((text) => {
      const one = parseLink(text)
      return one.do === "tell" || this.#desk.starting.has(one.run) ? [] : [{ text, ...one }]
    })
    const records = await reach.engine.read(
      reach.pool,
      children.map(({ shard, to }) => ({ shard, address: to })),
    )
    const ended = children.filter((child, n) => records[n]?.run !== child.run || records[n]?.phase === "ended")
    return ended.length === 0
      ? reply
      : await linkTo(
          reach,
          own,
          link,
          ended.map(({ text }) => text),
        )
  }

  async #start(
    attempt: Attempt,
    reach: Reach,
    find: Found,
    asked: Pick<StartItem, "run" | "body" | "after" | "signal">,
    { onParentEnd = "cancel", ifRunning, ifEnded }: ChildRequest,
  ): Promise<Answer> {
    const { engine, pool, limits } = reach
    const { shard, address } = find(await reach.shards())
    const { run } = asked
    if (onParentEnd !== "abandon") {
      // before the child is there: whenever the parent ends, its end knows of it
      const link = printLink({ do: onParentEnd, shard, to: address, run })
      const { status } = await this.#linkChild(attempt, reach, link)
      if (status === "full") return tooMany(attempt.options.address)
      if (status !== "linked") return "over"
    }
    await reach.announce(this.#contract.kind)
    const item = { shard, address, ...asked, remember: limits.requestRetentionMs, ...(ifEnded === undefined ? {} : { ifEnded }) }
    const start = async (): Promise<StartVerdict> => {
      const [reply] = await engine.start(pool, [item])
      return reply === undefined ? { do: "stop" } : judgeStart(reply, address, ifRunning, limits.inboxLimit)
    }
    let verdict = await start()
    while (verdict.do === "replace") {
      const reason = `replaced by a start of ${attempt.options.address}`
      await engine.terminate(pool, [terminationOf({ shard, address, run: verdict.run }, reason, limits.resultRetentionMs)])
      verdict = await start()
    }
    if (verdict.do === "refuse") return refusal(verdict.tag, verdict.message)
    return verdict.do === "give" ? { v: { run: verdict.run } } : "over"
  }
}

const noReply: LinkReply = { status: "absent", run: "", outcome: undefined, links: [] }

const linkTo = async (
  reach: Reach,
  { shard, address, run }: { readonly shard: number; readonly address: string; readonly run: string | undefined },
  link: string,
  drop: ReadonlyArray<string> = [],
): Promise<LinkReply> => {
  const { linkLimit: limit, outboxLimit } = reach.limits
  const item = { shard, address, link, limit, outboxLimit, drop }
  const [reply] = await reach.engine.link(reach.pool, [run === undefined ? item : { ...item, run }])
  return reply ?? noReply
}

const tooMany = (address: string): Answer =>
  refusal(
    "LinksFull",
    `${address} has as many children and waiting runs as linkLimit allows, or the outbox of its shard is full. Let some end first, or abandon children.`,
  )

/** A run of another job: the one that a start gave, or whichever has the key when it is asked. */
export class OtherRun {
  readonly key: string
  readonly run: string | undefined
  readonly signal: Readonly<Record<string, (payload?: unknown) => DurableCall<void>>>
  readonly #desk: Desk
  readonly #contract: JobContract
  readonly #find: Found
  readonly #what: string

  constructor(desk: Desk, contract: JobContract, find: Found, run: string | undefined) {
    const { key, address } = find(1)
    this.key = key
    this.run = run
    this.#desk = desk
    this.#contract = contract
    this.#find = find
    this.#what = address
    this.signal = Object.fromEntries(
      Object.keys(contract.schemas.signals).map((name) => [name, (payload?: unknown) => this.#signal(name, payload)]),
    )
  }

  #signal(name: string, payload: unknown): DurableCall<void> {
    const attempt = this.#desk.asker.live("a signal")
    const { payloadBytes } = attempt.options.limits
    const what = `signal ${name} of ${this.#what}`
    const text = JSON.stringify(codecOf(this.#contract.schemas.signals[name] ?? null).encodeExact(payload, what))
    return this.#send(attempt, "signal", name, checkBytes(text, payloadBytes, what), 0)
  }

  cancel(reason?: string): DurableCall<void> {
    const attempt = this.#desk.asker.live("a cancel")
    const { address, limits } = attempt.options
    const text = reason ?? `cancelled by ${address}`
    if (typeof text !== "string") throw new BadOption(`expected the reason to be a text, got: ${typeof reason}`)
    return this.#send(attempt, "cancel", "cancel", checkBytes(JSON.stringify(text), limits.payloadBytes, "the reason"), undefined)
  }

  #send(attempt: Attempt, kind: "signal" | "cancel", name: string, payload: string, reserve: 0 | undefined): DurableCall<void> {
    return ask(attempt, this.#desk.asker.iteration, this.#desk.lines, {
      call: { type: kind, name: kind === "cancel" ? "" : name, to: { kind: this.#contract.kind, key: this.key } },
      name: `${kind === "cancel" ? kind : `signal ${name}`} ${this.#what}`,
      to: this.#what,
      repeatable: false,
      ask: async (reach, id) => {
        const { inboxLimit, inboxReserve, requestRetentionMs: retention } = reach.limits
        const { shard, address } = this.#find(await reach.shards())
        const limit = inboxLimit + (reserve ?? inboxReserve)
        const item = { shard, address, kind, name, id, payload, inboxLimit: limit, retention }
        const [reply] = await reach.engine.message(reach.pool, [this.run === undefined ? item : { ...item, run: this.run }])
        switch (reply?.status) {
          case "accepted":
          case "duplicate":
            return {}
          case "full":
            return refusal("InboxFull", `${address} has ${limit} unread messages, so ${kind} ${name} was refused. Nothing was stored.`)
          case "ended":
          case "replaced":
            return refusal("RunEnded", `the run ${this.run ?? reply.run} of ${address} has ended and takes no messages.`)
          default:
            return refusal(
              "RunNotFound",
              `expected a run of ${address} in pool ${reach.pool}, found none. Start it first, or check the key.`,
            )
        }
      },
      read: () => undefined,
    })
  }

  /** The end of the run: it wakes this one, also when it is parked by then. */
  result(): DurableCall<unknown> {
    const attempt = this.#desk.asker.live("the result of another job")
    const { address: own, run: ownRun } = attempt.options
    if (own === this.#what && (this.run ?? ownRun) === ownRun)
      throw new NotAllowed(
        `expected ${own} to wait for the result of another run, got: its own, which would not end. A start of its own key joined it.`,
      )
    return ask(attempt, this.#desk.asker.iteration, this.#desk.lines, {
      call: { type: "result", name: "", to: { kind: this.#contract.kind, key: this.key } },
      name: `result ${this.#what}`,
      to: this.#what,
      repeatable: true,
      ask: async (reach, id) => {
        const { shard, address } = this.#find(await reach.shards())
        const link = printLink({ do: "tell", shard: attempt.shard.shard, to: own, run: ownRun, name: id })
        const reply = await linkTo(reach, { shard, address, run: this.run }, link)
        switch (reply.status) {
          case "linked":
            return "later"
          case "ended":
            return { v: JSON.parse(reply.outcome ?? "{}") as Outcome }
          case "full":
            return tooMany(address)
          case "replaced":
            return refusal(
              "OutcomeUnknown",
              `the run ${this.run} of ${address} has ended, and another run has its key: its outcome is not kept.`,
            )
          case "absent":
            return this.run === undefined
              ? refusal("RunNotFound", `expected a run of ${address} in pool ${reach.pool}, found none. Start it first, or check the key.`)
              : refusal("OutcomeUnknown", `the run ${this.run} of ${address} has ended, and its outcome is no longer retained.`)
        }
      },
      read: (outcome) => readOutcome(this.#contract, this.#what, outcome as Outcome),
    })
  }
}

export const otherJobs = (asker: Asker, contracts: Readonly<Record<string, JobContract>>): Readonly<Record<string, OtherJob>> => {
  const desk: Desk = { asker, lines: new Map(), starting: new Set() }
  return Object.fromEntries(Object.entries(contracts).map(([name, contract]) => [name, new OtherJob(desk, contract)]))
}
