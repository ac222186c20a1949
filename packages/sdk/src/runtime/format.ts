/** The formats of the JSDoc tag `@format`, for generated schemas. They are here, so that a fix reaches generated code without a new generation. */
import type { SchemaAST } from "effect"
import { Schema } from "effect"

const octet = String.raw`(?:25[0-5]|2[0-4]\d|1?\d?\d)`
const ipv4 = new RegExp(String.raw`^${octet}(?:\.${octet}){3}$`, "u")
const label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
const hostname = new RegExp(String.raw`^(?=.{1,253}$)${label}(?:\.${label})*$`, "u")
const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/iu
const time = /^(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/iu
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/u

const isDate = (text: string): boolean => {
  const match = /^(\d{4})-(\d\d)-(\d\d)$/u.exec(text)
  if (match === null) return false
  const date = new Date(`${text}T00:00:00Z`)
  // a day that the month does not have rolls over to the next one
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)
}

const isDateTime = (text: string): boolean => /^.{10}[tT ]/u.test(text) && isDate(text.slice(0, 10)) && time.test(text.slice(11))

/** RFC 3986 needs a scheme; `URL.canParse` alone would also take blanks, which it cuts off or escapes. */
const isUri = (text: string): boolean => /^[a-z][a-z0-9+.-]*:[^\s<>"{}|\\^`]+$/iu.test(text) && URL.canParse(text)

const isIpv6 = (text: string): boolean => /^[0-9a-f:.]+$/iu.test(text) && URL.canParse(`http://[${text}]/`)

const isEmail = (text: string): boolean => {
  const at = text.lastIndexOf("@")
  return at > 0 && at <= 64 && /^[^\s@"(),:;<>[\\\]]+$/u.test(text.slice(0, at)) && hostname.test(text.slice(at + 1))
}

const formats = {
  base64: ["base64 text", (text: string) => base64.test(text)],
  date: ["a date such as 2026-01-31", isDate],
  "date-time": ["a date and time such as 2026-01-31T12:00:00Z", isDateTime],
  email: ["an e-mail address", isEmail],
  hostname: ["a host name", (text: string) => hostname.test(text)],
  ipv4: ["an IPv4 address", (text: string) => ipv4.test(text)],
  ipv6: ["an IPv6 address", isIpv6],
  time: ["a time such as 12:00:00Z", (text: string) => time.test(text)],
  uri: ["an absolute URI such as https://example.org/", isUri],
  uuid: ["a UUID", (text: string) => uuid.test(text)],
} as const satisfies Record<string, readonly [what: string, test: (text: string) => boolean]>

export type FormatName = keyof typeof formats

/** A check of a string's format, for `Schema.String.check(…)`. */
export const isFormat = (name: FormatName): SchemaAST.Filter<string> => {
  const [what, test] = formats[name]
  return Schema.makeFilter((text: string) => test(text) || `Expected ${what}`, { expected: what })
}
