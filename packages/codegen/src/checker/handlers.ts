/** Rules of handlers: what must not be used in them, which calls must be awaited, and the remarks that allow exceptions. */
import { basename } from "node:path"
import type { Place, Problem } from "../domain.ts"
import type { Floating, HandlerModel, Nested, Reference, Remark, Use } from "../handler.ts"
import { compare } from "../shape.ts"
import type { Diagnostic } from "./diagnostic.ts"
import { codeOf, type UseCode, wordsOfUse } from "./nondeterminism.ts"

/** What a remark can allow. */
export const allowable = ["clock", "random", "timer", "outside-step", "floating-call"] as const satisfies ReadonlyArray<
  UseCode | "floating-call"
>
type Allowable = (typeof allowable)[number]

interface Allowance {
  readonly code: Allowable
  readonly remark: Remark
}

export const checkHandlers = (model: HandlerModel): ReadonlyArray<Diagnostic> => {
  const allowances = model.remarks.flatMap((remark) => readRemark(remark).allows ?? [])
  const needed = new Set<Allowance>()
  const found = new Map<string, Diagnostic>()
  for (const use of model.uses) {
    const one = wordsFor(use)
    if (one === undefined) continue
    const places = [use.at, ...use.through.map(({ at }) => at)]
    const allowing = allowances.filter(({ code, remark }) => code === one.code && places.some((at) => isInside(at, remark.covers)))
    for (const allowance of allowing) needed.add(allowance)
    // a function that two handlers of a kind use is wrong once, as the first of them sees it
    const id = `${one.code} ${use.at.file} ${use.at.start} ${use.at.end} ${use.origin.member}`
    if (allowing.length === 0 && !found.has(id)) found.set(id, one)
  }
  const diagnostics = [
    ...model.problems.map(wordsForProblem),
    ...found.values(),
    ...model.remarks.flatMap((remark) => readRemark(remark).mistake ?? []),
    ...allowances.filter((one) => !needed.has(one)).flatMap((one) => unneeded(one, model.jobs)),
  ]
  return diagnostics.toSorted((a, b) => compare(a.at.file, b.at.file) || a.at.start - b.at.start || compare(a.code, b.code))
}

const isInside = (at: Place, range: Place): boolean => at.file === range.file && range.start <= at.start && at.start < range.end

const wordsFor = (use: Use): Diagnostic | undefined => {
  if (use.kind === "nested") return wordsForNested(use)
  return use.kind === "floating" ? wordsForFloating(use) : wordsForReference(use)
}

const wordsForNested = (use: Nested): Diagnostic => ({
  code: "nested-call",
  at: use.at,
  message: `\`${use.name}(…)\` in ${where(use)} is in the body of \`${use.outer}\`: a replay gives the result of a step without its body, and misses the call.`,
  fix: "Make the call in `run`, before or after the step.",
})

const wordsForReference = (use: Reference): Diagnostic | undefined => {
  const code = codeOf(use)
  if (code === undefined) return undefined
  const { why, fix } = wordsOfUse[code]
  const message = `\`${written(use)}\` in ${where(use)} ${why[use.origin.member]}.`
  return { code, at: use.at, message, fix: fix(use.origin, use.name) }
}

const written = ({ name, form, args }: Reference): string => {
  const shown = name.replace(/^effect\./, "")
  const call = `${shown}${form === "mention" ? "" : args === 0 ? "()" : "(…)"}`
  return form === "new" ? `new ${call}` : call
}

/** "`run` of `feed` (through `read`, `parse`)". */
const where = ({ origin, through, at }: Use): string => {
  const handler = `\`${origin.name}\` of \`${origin.job}\``
  const [first] = through
  if (first === undefined) return handler
  const file = first.at.file === at.file ? "" : `, called in ${basename(first.at.file)}`
  return `${handler} (through ${through.map(({ name }) => `\`${name}\``).join(", ")}${file})`
}

const wordsForFloating = (use: Floating): Diagnostic => {
  const { name, isLoop, at } = use
  const lost = "the iteration may end before it has, and its failure is lost"
  return isLoop
    ? {
        code: "floating-call",
        at,
        message: `\`${name}\` in ${where(use)} does not wait for the durable calls of its callback: ${lost}.`,
        fix: "Write `for (const item of items) await …`, or `await Promise.all(items.map(async (item) => …))`.",
      }
    : {
        code: "floating-call",
        at,
        message: `nobody waits for \`${name}(…)\` in ${where(use)}: ${lost}.`,
        fix: "Await it, return it, yield it in an Effect, or collect it for `await Promise.all(…)`.",
      }
}

const grammar = /^allow\s+(\S+)(?:\s+because\s+(.*\S))?\s*$/

const readRemark = (remark: Remark): { readonly allows?: Allowance; readonly mistake?: Diagnostic } => {
  const match = grammar.exec(remark.text)
  const code = allowable.find((known) => known === match?.[1])
  if (code !== undefined && match?.[2] !== undefined) return { allows: { code, remark } }
  const message =
    code !== undefined
      ? `this remark allows \`${code}\` without a reason.`
      : match === null
        ? `\`ponos: ${remark.text}\` is not a remark that ponos-gen knows.`
        : `\`${match[1] ?? ""}\` is not something to allow.`
  const fix = `Write \`// ponos: allow ${code ?? "<code>"} because …\`${code === undefined ? `, with one of ${allowable.join(", ")}` : ""}.`
  return { mistake: { code: "remark", at: remark.at, message, fix } }
}

/** Only beside handlers: what a function that they share needs may depend on which of them were given. */
const unneeded = ({ code, remark: { at } }: Allowance, jobs: ReadonlyArray<Place>): ReadonlyArray<Diagnostic> => {
  if (!jobs.some(({ file }) => file === at.file)) return []
  return [
    {
      code: "remark",
      at,
      message: `this remark allows \`${code}\`, of which there is none in its line, nor in what that calls.`,
      fix: "Remove it, or move it to the end of the line in question or right above it.",
    },
  ]
}

const wordsForProblem = ({ code, at, found }: Problem): Diagnostic =>
  code === "syntax"
    ? { code, at, message: `the file does not parse: ${found}`, fix: "Correct the syntax." }
    : {
        code,
        at,
        message: `expected a file or a folder with handlers at ${at.file}, found none.`,
        fix: "Name one that exists, or none: ponos-gen then looks below the folder of jobs.def.ts.",
      }
