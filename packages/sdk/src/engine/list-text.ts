/**
 * Lists as map values: the text of a JSON array of strings, without white space. The drivers compare items as JSON texts and never decode
 * them, so that both agree (lua/include/items_of.lua is this function).
 */

/** The items as JSON texts; undefined when the text is no such list. An absent value is an empty list. */
export function itemsOf(text: string | undefined): string[] | undefined {
  if (text === undefined || text === "[]") return []
  if (!text.startsWith("[")) return undefined
  const items: string[] = []
  let at = 1
  for (;;) {
    if (text[at] !== '"') return undefined
    const from = at
    at = endOfString(text, at + 1)
    if (at < 0) return undefined
    items.push(text.slice(from, at))
    const next = text[at++]
    if (next === "]") return at === text.length ? items : undefined
    if (next !== ",") return undefined
  }
}

function endOfString(text: string, at: number): number {
  for (; at < text.length; at++) {
    if (text[at] === '"') return at + 1
    if (text[at] === "\\") at++
  }
  return -1
}

export const listText = (items: ReadonlyArray<string>): string => `[${items.join(",")}]`

/** `items` are JSON texts here and below. */
export function appended(list: ReadonlyArray<string>, items: ReadonlyArray<string>, unique: boolean): ReadonlyArray<string> {
  if (!unique) return [...list, ...items]
  const known = new Set(list)
  return [...list, ...new Set(items.filter((item) => !known.has(item)))]
}

export function removed(list: ReadonlyArray<string>, items: ReadonlyArray<string>): ReadonlyArray<string> {
  const gone = new Set(items)
  return list.filter((item) => !gone.has(item))
}
