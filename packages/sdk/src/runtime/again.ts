/** How an iteration ends: `job.again(…)` and `job.done(…)` as values, and what `again` asks of the agenda. */
import { Cron, Result } from "effect"
import type { DurationInput } from "../define/index.ts"
import { BadOption } from "../errors.ts"
import { refuseUnknown, toMillis } from "../options.ts"
import type { Waiting } from "./body.ts"

export interface AgainRequest {
  readonly after?: DurationInput
  readonly at?: Date
  readonly cron?: string
  readonly zone?: string
  readonly on?: ReadonlyArray<string>
}

export class AgainValue {
  readonly request: AgainRequest
  constructor(request: AgainRequest) {
    this.request = request
  }
}

export class DoneValue {
  readonly value: unknown
  constructor(value: unknown) {
    this.value = value
  }
}

const nextTick = (expression: string, zone: string, now: number): number => {
  const cron = Cron.parse(expression, zone)
  if (Result.isFailure(cron))
    throw new BadOption(
      `expected cron to be an expression such as "0 3 * * *" with an IANA zone, got: ${JSON.stringify(expression)} in ${JSON.stringify(zone)} (${cron.failure.message})`,
      {
        cron: expression,
        zone,
      },
    )
  return Cron.next(cron.success, new Date(now)).getTime()
}

/**
 * What the run waits for: the earliest of `after`, `at`, `cron`, and `on`; `undefined`: nothing, it runs again at once. `from`: what `after` counts from,
 * where `now` may be a little less.
 */
export const toWaiting = (request: AgainRequest, now: number, from = now): Waiting | undefined => {
  refuseUnknown(request, ["after", "at", "cron", "zone", "on"], "job.again")
  const due: Array<number> = []
  if (request.after !== undefined) due.push(from + toMillis(request.after, "after"))
  if (request.at !== undefined) {
    const at = request.at.getTime()
    if (Number.isNaN(at)) throw new BadOption("expected at to be a valid Date, got an invalid one", { option: "at" })
    due.push(at)
  }
  // from now on, not from the tick before: ticks that were missed are one, which carries the time of the first (W8)
  if (request.cron !== undefined) due.push(nextTick(request.cron, request.zone ?? "UTC", now))
  if (due.length === 0 && request.on === undefined) return undefined
  const earliest = due.length === 0 ? undefined : Math.min(...due)
  return {
    ...(earliest === undefined ? {} : { due: Math.ceil(earliest) }),
    ...(request.on === undefined || request.on.length === 0 ? {} : { on: request.on }),
  }
}
