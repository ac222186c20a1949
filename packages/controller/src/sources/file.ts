import { createReadStream } from "node:fs"
import { fileURLToPath } from "node:url"
import { BadOption } from "@ponos/sdk"

/** A path or a `file:` URL, as text. */
export const toPath = (file: string | URL, where: string): string => {
  if (file instanceof URL || (typeof file === "string" && file.startsWith("file:"))) return fileURLToPath(file)
  if (typeof file === "string" && file !== "") return file
  throw new BadOption(`expected the first argument of ${where} to be a path, got: ${JSON.stringify(file)}`, { where })
}

/** The text of a file in pieces. A leading byte-order mark is dropped. */
export async function* readText(path: string): AsyncGenerator<string> {
  let first = true
  for await (const piece of createReadStream(path, { encoding: "utf8", highWaterMark: 256 * 1024 }) as AsyncIterable<string>) {
    yield first && piece.startsWith("\uFEFF") ? piece.slice(1) : piece
    first = false
  }
}
