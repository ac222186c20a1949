/** A handle: one key of one job, as a client sees it. Generated interfaces give it its types. */
import type { LoadedRun, MessageKind } from "../engine/engine.ts"
import { InboxFull, OutcomeUnknown, QueryFailed, RunEnded, RunNotFound, UpdateFailed, WaitTimeout } from "../errors.ts"
import { refuseUnknown, toMillis } from "../options.ts"
import type { Answer, ErrorData, Outcome } from "../runtime/body.ts"
import { decodeError, parseBody } from "../runtime/body.ts"
import { readOutcome } from "../runtime/outcome.ts"
import type { JobContract, MaybeSchema } from "../runtime/contract.ts"
import { codecOf } from "../runtime/contract.ts"
import { checkBytes } from "../runtime/size.ts"
import { describeActivities } from "./activities.ts"
import type { JobAddress } from "../runtime/address.ts"
import type { ClientCore } from "./core.ts"
import { factsOf } from "./facts.ts"
import type { ClientCall } from "./interceptors.ts"
import { interceptCall } from "./interceptors.ts"
import { toHistory } from "./history.ts"
import type { Described, History, QueryOptions, ResultOptions, SignalOptions, UpdateOptions } from "./options.ts"
import { checkMessageOptions, checkReason } from "./options.ts"
import { terminateRun } from "./terminate.ts"

type Named = Readonly<Record<string, (...args: ReadonlyArray<any>) => Promise<unknown>>>

const text = (schema: MaybeSchema, value: unknown, what: string, limit: number): string =>
  checkBytes(JSON.stringify(codecOf(schema).encodeExact(value, what)), limit, what)

export class Handle {
  readonly key: string
  readonly #core: ClientCore
  readonly #contract: JobContract
  readonly #locate: () => Promise<JobAddress>
  readonly #what: string
  // made when they are asked for: most handles that `start` gives are not kept
  #signals: Named | undefined
  #updates: Named | undefined
  #queries: Named | undefined

  constructor(core: ClientCore, contract: JobContract, key: string, locate: () => Promise<JobAddress>) {
    this.#core = core
    this.#contract = contract
    this.#locate = locate
    this.key = key
    this.#what = `${contract.kind}/${key}`
  }

  get signal(): Named {
    this.#signals ??= byName(
      this.#contract.schemas.signals,
      (name, schema) => (payload: unknown, options?: SignalOptions) =>
        this.#intercept("signal", name, payload, () => this.#signal(name, schema, payload, options)),
    )
    return this.#signals
  }

  get update(): Named {
    this.#updates ??= byName(
      this.#contract.schemas.updates,
      (name) => (input: unknown, options?: UpdateOptions) =>
        this.#intercept("update", name, input, () => this.#update(name, input, options)),
    )
    return this.#updates
  }

  get query(): Named {
    this.#queries ??= byName(
      this.#contract.schemas.queries,
      (name) => (input: unknown, options?: QueryOptions) => this.#intercept("query", name, input, () => this.#query(name, input, options)),
    )
    return this.#queries
  }

  #intercept<A>(type: ClientCall["type"], name: string, input: unknown, body: () => Promise<A>): Promise<A> {
    const { interceptors } = this.#core
    if (interceptors.length === 0) return body()
    return interceptCall(interceptors, { type, kind: this.#contract.kind, key: this.key, name, input }, body)
  }

  /** Sends a message; gives the run that has it. */
  async #send(
    kind: MessageKind,
    name: string,
    id: string,
    payload: string,
    limit: number,
  ): Promise<{ at: JobAddress; run: string; answer: string | undefined }> {
    const at = await this.#locate()
    const { inboxLimit: _, requestRetentionMs: retention } = this.#core.options
    const reply = await this.#core.message({ shard: at.shard, address: at.address, kind, name, id, payload, inboxLimit: limit, retention })
    switch (reply.status) {
      case "accepted":
      case "duplicate":
        return { at, run: reply.run, answer: reply.answer }
      case "full":
        throw new InboxFull(
          `${this.#what} has ${limit} unread messages, so ${kind} ${name} was refused. Nothing was stored: retry later, or let the job read faster.`,
          {
            limit,
          },
        )
      case "ended":
        throw this.#ended(reply.run)
      default:
        throw this.#absent()
    }
  }

  #absent(): Error {
    return new RunNotFound(
      `expected a run of ${this.#what} in pool ${this.#core.pool}, found none. Start it first, or check the key. One that has ended is kept for resultRetentionMs.`,
      {
        key: this.key,
      },
    )
  }

  #ended(run: string): Error {
    return new RunEnded(`the run ${run} of ${this.#what} has ended and takes no messages. Start it anew, or ask for its result().`, {
      key: this.key,
      run,
    })
  }

  async #signal(name: string, schema: MaybeSchema, payload: unknown, options: SignalOptions = {}): Promise<void> {
    checkMessageOptions(options, ["id"], `signal ${name}`)
    const { payloadBytes, inboxLimit } = this.#core.options
    const encoded = text(schema, payload, `signal ${name} of ${this.#what}`, payloadBytes)
    await this.#send("signal", name, options.id ?? crypto.randomUUID(), encoded, inboxLimit)
  }

  async #update(name: string, input: unknown, options: UpdateOptions = {}): Promise<unknown> {
    const schemas = this.#contract.schemas.updates[name]
    if (schemas === undefined) throw this.#absent()
    const what = `update ${name} of ${this.#what}`
    checkMessageOptions(options, ["id", "timeout"], `update ${name}`)
    const { payloadBytes, inboxLimit, updateTimeoutMs } = this.#core.options
    const encoded = text(schemas.in, input, what, payloadBytes)
    const timeout = options.timeout === undefined ? updateTimeoutMs : toMillis(options.timeout, "timeout")
    const id = options.id ?? crypto.randomUUID()
    const sent = await this.#send("update", name, id, encoded, inboxLimit)
    const { shard, address } = sent.at
    const answer =
      sent.answer ??
      (await this.#core.waitFor(
        shard,
        (event) => (event.type === "answered" ? event.id === id : event.address === address),
        async () => {
          const known = await this.#core.answer(shard, id)
          if (known !== undefined) return known
          const run = await this.#core.read(shard, address)
          if (run?.run === sent.run && run.phase !== "ended") return undefined
          // ended in between: an answer given with the end was written in the same commit, so one more look decides
          const last = await this.#core.answer(shard, id)
          if (last !== undefined) return last
          throw run?.run === sent.run
            ? this.#ended(sent.run)
            : new OutcomeUnknown(`the answer of ${what} is no longer retained. Ask for the state with a query before you repeat it.`, {
                id,
              })
        },
        timeout,
      ))
    if (answer === undefined)
      throw new WaitTimeout(
        `${what} was accepted, but no worker of pool ${this.#core.pool} answered it within ${timeout} ms. ` +
          `It will be applied when one that serves it comes to it: start one, or ask again with { id: ${JSON.stringify(id)} }.`,
        { id, timeout },
      )
    const parsed = JSON.parse(answer) as Answer
    if ("ok" in parsed) return codecOf(schemas.out).decode(parsed.ok, `the answer of ${what}`)
    if (parsed.error.tag === "RunEnded") throw new RunEnded(parsed.error.message, { key: this.key })
    throw decodeError(
      parsed.error,
      schemas.errors,
      this.#contract.failures,
      (data) => new UpdateFailed(`${what} failed and left the state as it was: ${data.message}`, { error: data }),
    )
  }

  async #query(name: string, input: unknown, options: QueryOptions = {}): Promise<unknown> {
    const schemas = this.#contract.schemas.queries[name]
    if (schemas === undefined) throw this.#absent()
    const what = `query ${name} of ${this.#what}`
    refuseUnknown(options, ["timeout"], `query ${name}`)
    const encoded = codecOf(schemas.in).encodeExact(input, what)
    const timeout = options.timeout === undefined ? this.#core.options.queryTimeoutMs : toMillis(options.timeout, "timeout")
    const at = await this.#locate()
    const answer = await this.#core.request(at.shard, { type: "query", address: at.address, name, input: encoded }, timeout, what)
    const parsed = JSON.parse(answer) as Answer | { readonly absent: true }
    if ("absent" in parsed) throw this.#absent()
    if ("ok" in parsed) return codecOf(schemas.out).decode(parsed.ok, `the answer of ${what}`)
    throw decodeError(
      parsed.error,
      schemas.errors,
      this.#contract.failures,
      (data: ErrorData) => new QueryFailed(`${what} failed: ${data.message}`, { error: data }),
    )
  }

  async #read(): Promise<{ readonly at: JobAddress; readonly run: LoadedRun }> {
    const at = await this.#locate()
    const engine = await this.#core.engine()
    const [run] = await engine.read(this.#core.pool, [{ shard: at.shard, address: at.address }], { full: true })
    if (run === undefined) throw this.#absent()
    return { at, run }
  }

  describe(): Promise<Described<unknown>> {
    return this.#intercept("describe", "", undefined, () => this.#describe())
  }

  async #describe(): Promise<Described<unknown>> {
    const { at, run } = await this.#read()
    const engine = await this.#core.engine()
    const [header] = await engine.headers(this.#core.pool, [at.shard])
    const body = parseBody(run.body)
    const { stateVersion = 1, schemas } = this.#contract
    const { state } = schemas
    return {
      key: this.key,
      ...factsOf(run, body),
      state:
        body.state === undefined || stateVersion !== (body.sv ?? 1)
          ? undefined
          : codecOf(state).decode(body.state, `the state of ${this.#what}`),
      stateVersion: body.sv ?? 1,
      activities: await describeActivities(this.#core, at.shard, run),
      owner: { shard: at.shard, session: header?.session === "" ? undefined : header?.session, epoch: header?.epoch ?? 0 },
    }
  }

  /** What happened in the current iteration: journal and messages. */
  history(): Promise<History> {
    return this.#intercept("history", "", undefined, async () => toHistory(this.#contract.kind, this.key, (await this.#read()).run))
  }

  /** Waits for the end of the run that has the key now; gives its result, or throws its error. */
  result(options: ResultOptions = {}): Promise<unknown> {
    return this.#intercept("result", "", undefined, () => this.#result(options))
  }

  async #result(options: ResultOptions): Promise<unknown> {
    refuseUnknown(options, ["timeout"], "result")
    const timeout = options.timeout === undefined ? undefined : toMillis(options.timeout, "timeout")
    const at = await this.#locate()
    let first: string | undefined
    const ended = await this.#core.waitFor(
      at.shard,
      (event) => event.type === "ended" && event.address === at.address,
      async () => {
        const run = await this.#core.read(at.shard, at.address)
        if (run === undefined) throw this.#absent()
        first ??= run.run
        // the run ended and another one was started before we looked: its outcome was overwritten
        if (run.run !== first) throw this.#ended(first)
        return run.phase === "ended" ? (run.outcome ?? "{}") : undefined
      },
      timeout,
    )
    if (ended === undefined)
      throw new WaitTimeout(`${this.#what} did not end within ${timeout} ms. It goes on: ask again, or without a timeout.`, { timeout })
    return readOutcome(this.#contract, this.#what, JSON.parse(ended) as Outcome)
  }

  /** Asks the run to end: its handler sees an abort and may clean up. */
  cancel(reason = "cancelled by a client"): Promise<void> {
    return this.#intercept("cancel", "", reason, () => this.#cancel(reason))
  }

  async #cancel(reason: string): Promise<void> {
    const { inboxLimit, inboxReserve, payloadBytes } = this.#core.options
    const payload = JSON.stringify(checkReason(reason, payloadBytes))
    await this.#send("cancel", "cancel", crypto.randomUUID(), payload, inboxLimit + inboxReserve)
  }

  /** Ends the run now, without its handler. */
  terminate(reason = "terminated by a client"): Promise<void> {
    return this.#intercept("terminate", "", reason, () => this.#terminate(reason))
  }

  async #terminate(reason: string): Promise<void> {
    const text = checkReason(reason, this.#core.options.payloadBytes)
    const reply = await terminateRun(this.#core, await this.#locate(), text)
    if (reply.status === "absent") throw this.#absent()
    if (reply.status === "ended") throw this.#ended(reply.run)
  }
}

const byName = <S>(
  schemas: Readonly<Record<string, S>>,
  make: (name: string, schema: S) => (...args: ReadonlyArray<any>) => Promise<unknown>,
): Named => Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, make(name, schema)]))
