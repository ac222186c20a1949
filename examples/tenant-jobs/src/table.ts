/** The live table as lines of text. Pure: (what is going on, size of the terminal) → lines. */
export interface WorkerRow {
  readonly name: string
  readonly state: "starting" | "running" | "killed" | "draining" | "drained"
  readonly shards: number
  readonly tenants: number
}

export interface TenantCell {
  readonly id: string
  readonly owner: string
  readonly delivered: number
  readonly lag: number
}

export interface View {
  readonly elapsedMs: number
  /** What the script is doing. */
  readonly act: string
  readonly workers: ReadonlyArray<WorkerRow>
  readonly tenants: ReadonlyArray<TenantCell>
  readonly moves: ReadonlyArray<string>
}

export interface Size {
  readonly columns: number
  readonly rows: number
}

const cellWidth = 26
const shownMoves = 4

export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1).padStart(5)} s`

export const tableLines = ({ elapsedMs, act, workers, tenants, moves }: View, { columns, rows }: Size): string[] => {
  const delivered = tenants.reduce((sum, tenant) => sum + tenant.delivered, 0)
  const lag = tenants.reduce((sum, tenant) => sum + tenant.lag, 0)
  const head = ["", `${seconds(elapsedMs)}  ${act}   ${tenants.length} tenants, ${delivered} events delivered, ${lag} on their way`, ""]
  const workerLines = workers.map(
    ({ name, state, shards, tenants }) =>
      `  ${name.padEnd(4)} ${state.padEnd(9)} ${String(shards).padStart(4)} shards ${String(tenants).padStart(5)} tenants`,
  )
  const moveLines = moves.length === 0 ? [] : ["", "last moves", ...moves.slice(-shownMoves).map((move) => `  ${move}`)]
  const room = Math.max(0, rows - head.length - workerLines.length - moveLines.length - 3)
  const grid = tenantGrid(tenants, columns, room)
  return [...head, ...workerLines, "", ...grid, ...moveLines].map((line) => line.slice(0, Math.max(0, columns - 1)).trimEnd())
}

/** Tenants in columns, as many as there is room for; those that lag most come first when not all fit. */
const tenantGrid = (tenants: ReadonlyArray<TenantCell>, columns: number, room: number): string[] => {
  const across = Math.max(1, Math.min(Math.floor(columns / cellWidth), tenants.length))
  const down = Math.min(Math.ceil(tenants.length / across), room - 1)
  if (down < 1) return []
  const fits = down * across >= tenants.length
  const cells = fits ? tenants : tenants.toSorted((a, b) => b.lag - a.lag).slice(0, down * across)
  const title = Array.from({ length: across }, () => cell("tenant", "owner", "events", "lag")).join("")
  const lines = Array.from({ length: down }, (_, row) =>
    cells
      .slice(row * across, (row + 1) * across)
      .map(({ id, owner, delivered, lag }) => cell(id, owner, String(delivered), String(lag)))
      .join(""),
  )
  return [title, ...lines, ...(fits ? [] : [`… and ${tenants.length - down * across} more`])]
}

const cell = (id: string, owner: string, delivered: string, lag: string): string =>
  `${id.padEnd(8)}${owner.padEnd(6)}${delivered.padStart(6)}${lag.padStart(4)}`.padEnd(cellWidth)
