/** What a bench found: one figure of Ponos beside its peer's, from several runs. Printed as a table, and as the JSON that all benches share. */

export interface Figure {
  readonly name: string
  /** For readers of the table. */
  readonly label: string
  readonly unit: string
  readonly better: "more" | "less"
  /** What was set out to be reached: at most. */
  readonly goal?: number
  /** The same of the ratio: at least. */
  readonly goalRatio?: number
  /** The value is the largest one: what must never happen is not averaged away. */
  readonly worst?: boolean
  readonly own: ReadonlyArray<number>
  readonly peer: ReadonlyArray<number>
}

export interface StoreFigures {
  readonly store: string
  readonly figures: ReadonlyArray<Figure>
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** The value below which `share` of the samples lie (nearest rank). */
export const quantile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

const round = (value: number): number => (Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)))

const valueOf = ({ own, worst }: Figure): number => (worst === true ? Math.max(...own) : median(own))
const ratioOf = (figure: Figure): number | null => (figure.peer.length === 0 ? null : round(valueOf(figure) / median(figure.peer)))

export const toJson = (bench: string, store: string, figures: ReadonlyArray<Figure>): string =>
  JSON.stringify({
    bench,
    store,
    figures: Object.fromEntries(
      figures.map((figure) => [
        figure.name,
        {
          value: round(valueOf(figure)),
          unit: figure.unit,
          peer: figure.peer.length === 0 ? null : round(median(figure.peer)),
          ratio: ratioOf(figure),
          min: round(Math.min(...figure.own)),
          max: round(Math.max(...figure.own)),
          runs: figure.own.length,
        },
      ]),
    ),
  })

const none = "-"
const show = (value: number): string => round(value).toLocaleString("en-US", { maximumFractionDigits: 3 })
const shown = (values: ReadonlyArray<number>): string => (values.length === 0 ? none : show(median(values)))
const spread = (values: ReadonlyArray<number>): string =>
  values.length === 0 ? none : `${show(Math.min(...values))} - ${show(Math.max(...values))}`
const showRatio = (figure: Figure): string => {
  const ratio = ratioOf(figure)
  return ratio === null ? none : `${show(ratio)} ×`
}
const showGoal = (figure: Figure): string => {
  const { goal, goalRatio } = figure
  if (goal !== undefined) return `≤ ${show(goal)}${valueOf(figure) > goal ? " missed" : ""}`
  const ratio = ratioOf(figure)
  return goalRatio === undefined || ratio === null ? none : `≥ ${show(goalRatio)} ×${ratio < goalRatio ? " missed" : ""}`
}

export const toTable = (figures: ReadonlyArray<Figure>, peer: string): string => {
  const goals = figures.some(({ goal, goalRatio }) => goal !== undefined || goalRatio !== undefined)
  const rows = figures.map((figure) => [
    figure.label,
    show(valueOf(figure)),
    spread(figure.own),
    shown(figure.peer),
    spread(figure.peer),
    showRatio(figure),
    goals ? showGoal(figure) : figure.better,
  ])
  const head = ["", "Ponos", "min - max", peer, "min - max", "ratio", goals ? "goal" : "better"]
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? "").length)))
  const line = (row: ReadonlyArray<string>): string =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  ")
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")
}
