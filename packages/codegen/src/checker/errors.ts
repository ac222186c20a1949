/** Rules of declared errors: named, exported objects with a literal `_tag`, one type per tag. */
import type { Definition, Payload, Place } from "../domain.ts"
import { membersOf, resolve, tagOf } from "../shape.ts"
import type { Diagnostic } from "./diagnostic.ts"
import { reservedErrorFields, reservedErrorTags } from "./reserved.ts"

const identifier = /^[A-Za-z_$][A-Za-z0-9_$]*$/
const example = 'export interface Rejected { _tag: "Rejected"; reason: string }'

export const checkErrors = (definition: Definition): ReadonlyArray<Diagnostic> => {
  const payloads = definition.jobs.flatMap((job) => [job.error, ...[...job.updates, ...job.activities].map(({ error }) => error)])
  const tags = new Map<string, string>()
  const checked = new Set<string>()
  return payloads.flatMap((payload) => checkPayload(payload, definition, tags, checked))
}

const checkPayload = (
  payload: Payload,
  { named }: Definition,
  tags: Map<string, string>,
  checked: Set<string>,
): ReadonlyArray<Diagnostic> => {
  if (payload.shape === null) return []
  return membersOf(payload.shape, named).flatMap((member): ReadonlyArray<Diagnostic> => {
    const shape = resolve(member, named)
    if (shape.kind === "wrong") return []
    const one = (code: string, at: Place, message: string, fix: string): ReadonlyArray<Diagnostic> => [{ code, at, message, fix }]
    const type = member.kind === "ref" ? named.get(member.id) : undefined
    const tag = tagOf(shape)
    const name = type === undefined ? "the error type" : `the error type \`${type.id}\``
    if (tag === undefined) {
      return one(
        "error-tag",
        payload.at,
        `${name} has no \`_tag\` with one string literal, by which errors are told apart.`,
        `Write \`${example}\`.`,
      )
    }
    if (type === undefined)
      return one(
        "error-name",
        payload.at,
        `the error type with the tag "${tag}" has no name, so no class can be made of it.`,
        `Write \`${example}\`.`,
      )
    const before = tags.get(tag)
    tags.set(tag, before ?? type.id)
    if (before !== undefined && before !== type.id) {
      return one(
        "error-tag",
        payload.at,
        `\`${before}\` and \`${type.id}\` both have the tag "${tag}".`,
        "Give each error a tag of its own.",
      )
    }
    if (checked.has(type.id)) return []
    checked.add(type.id)
    if (!identifier.test(tag))
      return one("error-tag", type.at, `the tag "${tag}" cannot be the name of a class.`, "Use letters and digits, such as `Rejected`.")
    if ((reservedErrorTags as ReadonlyArray<string>).includes(tag)) {
      return one("reserved-name", type.at, `"${tag}" is the tag of an error of Ponos itself.`, "Choose another tag.")
    }
    const fields = shape.kind === "object" ? shape.fields : []
    const bad = fields.find((field) => (reservedErrorFields as ReadonlyArray<string>).includes(field.name))
    if (bad !== undefined)
      return one("reserved-name", type.at, `\`${type.id}.${bad.name}\` would hide a member that every Error has.`, "Rename the field.")
    const message = fields.find((field) => field.name === "message")
    if (message !== undefined && (message.optional || message.shape.kind !== "string")) {
      return one(
        "reserved-name",
        type.at,
        `\`${type.id}.message\` is not a required string, as the message of an Error is.`,
        "Make it `message: string`, or rename it.",
      )
    }
    return []
  })
}
