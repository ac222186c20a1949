/** `Promise.all`, `race` and `allSettled` in the model, watched for what would be chance. */
import type { Branch } from "./handler.ts"
import { labelOf } from "./handler.ts"
import type { Model } from "./model.ts"
import type { ModelJob } from "./model-job.ts"
import type { Together } from "./program.ts"

/** Starts the branches; each tells when it settled. */
export const settledIn = (
  { chance, clock }: Model,
  op: Together,
  branches: ReadonlyArray<Branch>,
  jobOf: (path: string) => ModelJob,
): ReadonlyArray<Promise<string>> => {
  /** What settled first, and when: a second one at that instant that gives something else makes a race. */
  let first: { readonly at: number; readonly label: string } | undefined
  const settled = (branch: string, label: string, decides: boolean): void => {
    chance.ended(branch)
    if (!decides) return
    first ??= { at: clock.now, label }
    if (first.at === clock.now && first.label !== label) chance.find(`a ${op} is decided twice`)
  }
  return branches.map(({ path, run }) => {
    chance.began(path)
    const value = run(jobOf(path))
    value.then(
      (result) => settled(path, result, op === "race"),
      (error: unknown) => settled(path, `!${labelOf(error)}`, op !== "settled"),
    )
    return value
  })
}
