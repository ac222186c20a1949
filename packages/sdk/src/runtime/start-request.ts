/** What starts of runs have in common, whoever makes them: clients and handlers. */
import type { StartItem } from "../engine/engine.ts"
import { BadOption } from "../errors.ts"
import { refuseUnknown } from "../options.ts"
import type { JobContract } from "./contract.ts"
import { codecOf } from "./contract.ts"
import { checkBytes } from "./size.ts"

export type Labels = Readonly<Record<string, string>>
export type IfRunning = "join" | "reject" | "replace"

/** A signal that comes with a start. */
export interface AnyFirstSignal {
  readonly name: string
  readonly payload?: unknown
  readonly id?: string
}

export const refuse = (option: string, expected: string, value: unknown): never => {
  throw new BadOption(`expected ${option} to be ${expected}, got: ${JSON.stringify(value) ?? typeof value}`, { option, value })
}

export const checkLabels = (labels: Labels): void => {
  const entries = typeof labels === "object" && labels !== null ? Object.entries(labels) : refuse("labels", "an object of texts", labels)
  const fits = ([name, text]: readonly [string, unknown]): boolean =>
    name !== "" && name.length <= 64 && typeof text === "string" && text.length <= 256
  if (entries.length > 16 || !entries.every(fits))
    refuse("labels", "at most 16 texts of up to 256 characters, with names of 1 to 64", labels)
}

export interface StartPolicies {
  readonly labels?: Labels
  readonly ifRunning?: IfRunning
  readonly ifEnded?: "start" | "reject"
}

export const checkStart = ({ labels, ifRunning = "join", ifEnded = "start" }: StartPolicies): void => {
  if (labels !== undefined) checkLabels(labels)
  if (ifRunning !== "join" && ifRunning !== "reject" && ifRunning !== "replace")
    refuse("ifRunning", `"join", "reject" or "replace"`, ifRunning)
  if (ifEnded !== "start" && ifEnded !== "reject") refuse("ifEnded", `"start" or "reject"`, ifEnded)
}

/** The id of a message becomes part of what the store keeps, as keys do. */
export const checkRequestId = (id: unknown): void => {
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused: drivers use them as separators
  if (id !== undefined && (typeof id !== "string" || id === "" || id.length > 512 || /[\u0000-\u001f\u007f]/.test(id)))
    refuse("id", "a text of 1 to 512 characters without control characters", id)
}

export interface FirstSignalLimits {
  readonly payloadBytes: number
  readonly inboxLimit: number
  readonly requestRetentionMs: number
}

/** As the store wants it. Throws `BadOption`, `BadInput` or `PayloadTooLarge`. `newId`: where none is given. */
export const firstSignal = (
  contract: JobContract,
  given: AnyFirstSignal,
  ifRunning: IfRunning | undefined,
  { payloadBytes, inboxLimit, requestRetentionMs: retention }: FirstSignalLimits,
  newId: () => string,
): NonNullable<StartItem["signal"]> => {
  refuseUnknown(given, ["name", "payload", "id"], "signal of start")
  const { signals } = contract.schemas
  const { name, payload, id = newId() } = given
  if (!Object.hasOwn(signals, name))
    throw new BadOption(
      `expected the signal of start to be one of ${contract.kind} (${Object.keys(signals).join(", ") || "it has none"}), got: ${JSON.stringify(name)}`,
    )
  checkRequestId(id)
  const what = `signal ${name} of ${contract.kind}`
  const text = checkBytes(JSON.stringify(codecOf(signals[name] ?? null).encodeExact(payload, what)), payloadBytes, what)
  return { name, id, payload: text, inboxLimit, retention, ifRunning: ifRunning === undefined || ifRunning === "join" ? "send" : "drop" }
}
