/** Reads files to which other processes append lines of JSON: each line once. */
import { open } from "node:fs/promises"

export class LineFiles<Line> {
  readonly #offsets = new Map<string, number>()
  /** The rest of a file after its last whole line. */
  readonly #rests = new Map<string, string>()
  readonly all: Line[] = []

  async read(path: string): Promise<void> {
    const file = await open(path).catch(() => undefined)
    if (file === undefined) return
    try {
      const offset = this.#offsets.get(path) ?? 0
      const { size } = await file.stat()
      if (size <= offset) return
      const buffer = Buffer.alloc(size - offset)
      const { bytesRead } = await file.read(buffer, 0, buffer.length, offset)
      this.#offsets.set(path, offset + bytesRead)
      const lines = ((this.#rests.get(path) ?? "") + buffer.toString("utf8", 0, bytesRead)).split("\n")
      this.#rests.set(path, lines.pop() ?? "")
      for (const line of lines) this.all.push(JSON.parse(line) as Line)
    } finally {
      await file.close()
    }
  }
}
