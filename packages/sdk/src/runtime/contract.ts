/**
 * What generated code hands to the runtime: a job's kind, key and schemas. Codecs are made from the schemas once, on first use.
 */
import { Schema } from "effect"
import type { Job } from "../define/index.ts"
import { refuseDepth, refuseMismatch, refuseVoid } from "./mismatch.ts"

/** A schema of one message or value; `null` where the type is void. */
export type AnySchema = Schema.Codec<any, any, never, never>
export type MaybeSchema = AnySchema | null

export interface OperationSchemas {
  readonly in: MaybeSchema
  readonly out: MaybeSchema
  /** Declared errors by tag. */
  readonly errors: Readonly<Record<string, AnySchema>>
}

export interface JobSchemas {
  readonly input: AnySchema
  readonly state: MaybeSchema
  readonly result: MaybeSchema
  readonly errors: Readonly<Record<string, AnySchema>>
  readonly signals: Readonly<Record<string, MaybeSchema>>
  readonly queries: Readonly<Record<string, OperationSchemas>>
  readonly updates: Readonly<Record<string, OperationSchemas>>
  readonly activities: Readonly<Record<string, OperationSchemas>>
}

export interface FailureClass {
  new (fields: any): Error & { readonly _tag: string }
}

export interface JobContract {
  /** Export name in the definition file. */
  readonly name: string
  readonly kind: string
  readonly key: ReadonlyArray<string>
  /** Hash of the contract: state carries it. */
  readonly version: string
  /** Default 1. */
  readonly stateVersion?: number
  readonly schemas: JobSchemas
  /** Classes of all declared errors, by tag. */
  readonly failures: Readonly<Record<string, FailureClass>>
}

/** Base of the generated error classes: plain data with a `_tag`, that can be thrown and compared by tag. */
export class Failure<Tag extends string, Fields extends { readonly _tag: Tag }> extends Error {
  readonly _tag: Tag
  constructor(tag: Tag, fields: Omit<Fields, "_tag">) {
    super(`${tag} ${JSON.stringify(fields, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value))}`)
    this._tag = tag
    this.name = tag
    Object.assign(this, fields)
  }
}

export interface JobHandlers<R = never> {
  readonly _tag: "JobHandlers"
  readonly kind: string
  readonly contract: JobContract
  readonly definition: Job
  readonly handlers: AnyHandlers
  /** All jobs of its definition file, by name. */
  readonly jobs: Readonly<Record<string, JobContract>>
  /** Services that the handlers need; covariant phantom. */
  readonly _R?: () => R
}

export interface ActivityHandlers<R = never> {
  readonly _tag: "ActivityHandlers"
  readonly kind: string
  readonly contract: JobContract
  readonly definition: Job
  readonly handlers: Readonly<Record<string, (call: any, input: any) => unknown>>
  readonly _R?: () => R
}

/** The handlers of a job as the runtime sees them; generated interfaces give users the typed view. */
export interface AnyHandlers {
  readonly init?: (input: any) => unknown
  /** By the version from which it upgrades. */
  readonly upgrade?: Readonly<Record<number, (state: any) => unknown>>
  readonly open?: (job: any) => unknown
  readonly close?: (resource: any) => unknown
  readonly run: (job: any, resource: any) => unknown
  readonly updates?: Readonly<Record<string, (job: any, input: any) => unknown>>
  readonly queries?: Readonly<Record<string, (view: any, input: any) => unknown>>
}

export interface Codec {
  /** Value → JSON-safe value; throws `BadInput` with the path of the wrong field. Fields that the type does not have are left out. */
  encode(value: unknown, what: string): unknown
  /** The same, but a field that the type does not have is refused: for what comes from outside, where it is a mistake that nobody else would see. */
  encodeExact(value: unknown, what: string): unknown
  /** JSON value → value; excess keys are stripped. */
  decode(json: unknown, what: string): unknown
}

const voidCodec: Codec = {
  encode: () => null,
  encodeExact: (value, what) => (value === undefined || value === null ? null : refuseVoid(value, what)),
  decode: () => undefined,
}
const codecs = new WeakMap<AnySchema, Codec>()

/** Levels of objects and lists in each other. */
const depthMax = 200

/** `undefined` members are dropped before encoding: an optional field is absent or has a value (api rule 20). */
const dropUndefined = (value: unknown, what: string, depth = 0): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (depth > depthMax) return refuseDepth(what, depthMax)
  if (Array.isArray(value)) return value.map((item) => dropUndefined(item, what, depth + 1))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return value
  let copy: Record<string, unknown> | undefined
  const source = value as Record<string, unknown>
  for (const name of Object.keys(source)) {
    const before = source[name]
    const after = dropUndefined(before, what, depth + 1)
    if (after === before && after !== undefined) continue
    copy ??= { ...source }
    if (after === undefined) delete copy[name]
    else copy[name] = after
  }
  return copy ?? value
}

/** A field of a value that its encoded form does not have: the type does not know it. */
const hasExcess = (value: unknown, encoded: unknown): boolean => {
  if (value === encoded || typeof value !== "object" || value === null || typeof encoded !== "object" || encoded === null) return false
  if (Array.isArray(encoded)) {
    const items = Array.isArray(value) ? value : value instanceof Map || value instanceof Set ? [...value] : []
    return items.some((item, index) => hasExcess(item, encoded[index]))
  }
  const source = value as Record<string, unknown>
  const made = encoded as Record<string, unknown>
  for (const name of Object.keys(source)) {
    const inner = made[name]
    if (inner === undefined && !Object.hasOwn(made, name)) return true
    if (typeof inner === "object" && hasExcess(source[name], inner)) return true
  }
  return false
}

const sent = "Nothing was sent or stored: correct the value."
const read =
  "Code with another type wrote or sent it, and nothing is lost: let the type accept it (optional fields; for a state stateVersion and upgrade), or end the run."

/** The codec of a schema, cached; `null` is void. */
export const codecOf = (schema: MaybeSchema): Codec => {
  if (schema === null) return voidCodec
  const known = codecs.get(schema)
  if (known !== undefined) return known
  const json = Schema.toCodecJson(schema)
  // Without options a schema has a fast way, which stops at the first mistake: it is asked again, for all, where there is one.
  const encode = Schema.encodeUnknownSync(json)
  const decode = Schema.decodeUnknownSync(json)
  const tell = (again: (value: unknown) => unknown, what: string, value: unknown, advice: string): unknown => {
    try {
      return again(value)
    } catch (error) {
      return refuseMismatch(what, error, value, advice)
    }
  }
  const codec: Codec = {
    encode(value, what) {
      const clean = dropUndefined(value, what)
      try {
        return encode(clean)
      } catch {
        return tell(Schema.encodeUnknownSync(json, { errors: "all" }), what, clean, sent)
      }
    },
    encodeExact(value, what) {
      const clean = dropUndefined(value, what)
      try {
        const encoded = encode(clean)
        if (!hasExcess(clean, encoded)) return encoded
      } catch {
        // told below
      }
      return tell(Schema.encodeUnknownSync(json, { errors: "all", onExcessProperty: "error" }), what, clean, sent)
    },
    decode(value, what) {
      try {
        return decode(value)
      } catch {
        return tell(Schema.decodeUnknownSync(json, { errors: "all" }), what, value, read)
      }
    },
  }
  codecs.set(schema, codec)
  return codec
}
