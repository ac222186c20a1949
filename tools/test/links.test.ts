/** Links of the documents: files and headings that they name are there, and so are the documents that code names. */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { expect, test } from "vitest"

const root = join(import.meta.dirname, "../..")
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" })
  .trim()
  .split("\n")
  .filter((file) => existsSync(join(root, file)))
const documents = files.filter((file) => file.endsWith(".md"))
const read = (file: string): string => readFileSync(join(root, file), "utf8")
/** Without blocks of code, in which brackets mean something else. */
const prose = (file: string): string => read(file).replaceAll(/^(`{3,})[\s\S]*?^\1/gm, "")

/** As the hosts of repositories make them: lower case, without punctuation, numbered when they repeat. */
const anchors = (document: string): ReadonlySet<string> => {
  const seen = new Map<string, number>()
  const all = new Set<string>()
  for (const [, heading = ""] of prose(document).matchAll(/^#{1,6} (.*)$/gm)) {
    const text = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .trim()
      .toLowerCase()
    const slug = text.replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-")
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    all.add(count === 0 ? slug : `${slug}-${count}`)
  }
  return all
}

const broken = (from: string, path: string, anchor: string | undefined): boolean => {
  const target = path === "" ? from : join(dirname(from), path)
  if (!existsSync(join(root, target))) return true
  return anchor !== undefined && target.endsWith(".md") && !anchors(target).has(anchor)
}

test("relative links lead to files and headings that are there", () => {
  const wrong = documents.flatMap((from) =>
    [...prose(from).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
      if (/^[a-z][a-z+.-]*:/.test(link)) return []
      const [path = "", anchor] = link.split("#")
      return broken(from, path, anchor) ? [`${from}: ${link}`] : []
    }),
  )
  expect(wrong).toEqual([])
})

test("files that documents name by their path in the repository are there", () => {
  const wrong = documents.flatMap((from) =>
    [...prose(from).matchAll(/`((?:packages|tools|docs|examples|bench)\/[\w./-]+)`/g)].flatMap(([, path = ""]) =>
      existsSync(join(root, path)) ? [] : [`${from}: ${path}`],
    ),
  )
  expect(wrong).toEqual([])
})

test("documents that code names are there", () => {
  const code = files.filter((file) => /\.(ts|mjs|js|lua|json)$/.test(file) && file !== "package-lock.json")
  const wrong = code.flatMap((from) =>
    [...read(from).matchAll(/\bdocs\/[\w./-]+\.md\b/g)].flatMap(([path]) => (existsSync(join(root, path)) ? [] : [`${from}: ${path}`])),
  )
  expect(wrong).toEqual([])
})

test("decisions are numbered without gaps, begin with their number, and are listed", () => {
  const decisions = documents.filter((file) => /^docs\/decisions\/\d{4}-/.test(file)).toSorted()
  decisions.forEach((file, index) => {
    const number = String(index + 1).padStart(4, "0")
    expect(file).toContain(`/${number}-`)
    const title = new RegExp(`^# (${number} .*)`).exec(read(file))?.[1] ?? "a title that begins with its number"
    expect(read("docs/decisions/README.md")).toContain(`[${number}](${file.slice("docs/decisions/".length)})${title.slice(4)}`)
  })
})
