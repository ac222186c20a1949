/**
 * Holds stops back. A desired set comes from a database, a file or another team's service: when it is empty, cut off or sharply smaller, that
 * is far more often a fault than a wish, and stopping every tenant cannot be undone. Pure.
 *
 * - G-1 A plan without stops always passes; creations and updates are never held back.
 * - G-2 A source that failed or ended midway stops nothing, approved or not: what it did not say is unknown.
 * - G-3 Stops on an empty desired set are refused.
 * - G-4 More stops than `maxStopRatio` of the controller's observed runs, or than `maxStopCount`, are refused.
 * - G-5 Stops beside rows without a readable key are refused: such a row may belong to one of the runs.
 * - G-6 An approval lets exactly the plan with its hash pass what G-3 to G-5 refuse, and is used up by it. One that a complete pass did not
 *   match is dropped: it must not meet a plan that looks the same next month.
 * - G-7 While stops are held back, the ratio is of the runs observed when they first were: the creations of the same change must not let them pass.
 * - G-8 While a server of the store does not answer, what runs there is unknown: nothing is stopped, approved or not, and an approval is kept. The
 *   limits are of a whole plan, and one that comes in parts must not pass them part by part.
 */

export interface GuardOptions {
  /** Highest share of the controller's observed runs that one plan may stop: 0 (none) to 1 (all). */
  readonly maxStopRatio: number
  /** Highest number of runs that one plan may stop; undefined: only the ratio counts. */
  readonly maxStopCount: number | undefined
}

export interface GuardInput {
  readonly stops: number
  /** Live runs of this controller, those already on their way out not counted. */
  readonly observed: number
  /** Tenants that the source names: valid rows and invalid ones with a readable key. */
  readonly desired: number
  /** Rows without a readable key. */
  readonly unreadable: number
  /** False: the source failed, or ended midway. */
  readonly complete: boolean
  /** Shards whose server did not answer. */
  readonly unreachable: number
  /** Hash of the plan. */
  readonly hash: string
  /** Hash that an operator has approved. */
  readonly approval: string | undefined
}

export type GuardReason = "source" | "unreachable" | "empty" | "ratio" | "count" | "unreadable"

export interface GuardVerdict {
  /** May the stops of this plan be applied? */
  readonly allowed: boolean
  readonly reasons: ReadonlyArray<GuardReason>
  /** It passes because of the approval. */
  readonly approved: boolean
  /** Would an approval let it pass? */
  readonly approvable: boolean
  /** What is held back, why, and what to do; "" when allowed. */
  readonly message: string
}

// 0.29 × 100 is 28.999…: a limit that is met exactly must pass
const epsilon = 1e-9

const explain: Readonly<Record<GuardReason, (input: GuardInput, options: GuardOptions) => string>> = {
  source: () => "the desired set was not read to its end",
  unreachable: (input) => `${input.unreachable} shards could not be read, and their jobs are unknown`,
  empty: () => "the desired set is empty",
  ratio: (input, options) =>
    `expected at most ${Math.round(options.maxStopRatio * 1000) / 10} % of ${input.observed} running jobs to stop (maxStopRatio), got ${input.stops}`,
  count: (input, options) => `expected at most ${options.maxStopCount ?? 0} jobs to stop (maxStopCount), got ${input.stops}`,
  unreadable: (input) => `${input.unreadable} rows have no readable key, and may belong to jobs that would be stopped`,
}

const judge = (input: GuardInput, options: GuardOptions): ReadonlyArray<GuardReason> => {
  const reasons: Array<GuardReason> = []
  if (!input.complete) reasons.push("source")
  if (input.unreachable > 0) reasons.push("unreachable")
  if (input.desired === 0 && input.complete) reasons.push("empty")
  if (input.stops > options.maxStopRatio * input.observed + epsilon) reasons.push("ratio")
  if (options.maxStopCount !== undefined && input.stops > options.maxStopCount) reasons.push("count")
  if (input.unreadable > 0) reasons.push("unreadable")
  return reasons
}

export const guard = (input: GuardInput, options: GuardOptions): GuardVerdict => {
  const reasons = input.stops === 0 ? [] : judge(input, options)
  if (reasons.length === 0) return { allowed: true, reasons, approved: false, approvable: false, message: "" }
  const approvable = !reasons.includes("source") && !reasons.includes("unreachable")
  if (approvable && input.approval === input.hash) return { allowed: true, reasons, approved: true, approvable, message: "" }
  const way = approvable
    ? `If this is meant, approve it: controller.approve("${input.hash}").`
    : reasons.includes("source")
      ? "Repair the source: an approval does not help while it cannot be read whole."
      : "Repair the store: an approval does not help while a part of it does not answer."
  const message = `${input.stops} stops are held back: ${reasons.map((reason) => explain[reason](input, options)).join("; ")}. ${way} All else goes on.`
  return { allowed: false, reasons, approved: false, approvable, message }
}

/** The approval after a pass (G-6). */
export const approvalAfter = (input: GuardInput): string | undefined =>
  input.complete && input.unreachable === 0 ? undefined : input.approval
