/** Children of a program: what one does follows from its key, so that the real one and the model's need nothing else. */
import { GoneError } from "../fixture.ts"
import type { Node } from "./program.ts"

export type ChildNode = Node & { readonly op: "child" }

export interface Child {
  readonly ms: number
  readonly fails: boolean
  /** It waits for a signal, instead of sleeping. */
  readonly waits: boolean
}

export interface ChildHandle {
  readonly signal: { go(text: string): PromiseLike<unknown> }
  result(): PromiseLike<unknown>
}

export interface ChildStarter {
  start(input: { readonly id: string }, options: { readonly onParentEnd: ChildNode["policy"] }): PromiseLike<ChildHandle>
}

export const childKey = (path: string, { ms, fails, signal }: ChildNode): string =>
  `${path} ${ms} ${fails ? "fails" : "ends"} ${signal ? "waits" : "sleeps"}`

export const childOf = (key: string): Child => {
  const [, ms = "0", ends, how] = key.split(" ")
  return { ms: Number(ms), fails: ends === "fails", waits: how === "waits" }
}

/** Handlers of the real one; `born` is told each run of a key that begins. */
export const childHandlers = (born: (key: string, run: string) => void): object => ({
  run: async (job: any) => {
    born(job.key, job.run)
    const { ms, fails, waits } = childOf(job.key)
    await (waits ? job.receive("go") : job.sleep(ms))
    if (fails) throw new GoneError({ status: 410 })
    return job.done("child")
  },
})
