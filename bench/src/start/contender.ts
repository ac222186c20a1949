/** What is measured: a client that starts jobs and a worker that runs them, each as its user would open it in a process of its own. */
import { clock } from "../clock.ts"

export interface BenchClient {
  /** Starts the job of a key that was never used; it is accepted when this resolves. */
  start(id: string, sentAt: number): Promise<unknown>
  close(): Promise<void>
}

export interface BenchWorker {
  close(): Promise<void>
}

export interface Work {
  /** Called in the handler's first line. */
  readonly onJob: (sentAt: number) => void
  /** Called when the worker knows that the job's end is in the store. */
  readonly onCompleted: () => void
  /** What a handler notes in the store, one after the other, before it ends. */
  readonly steps: number
  /** Gets the time of each of them, ms; absent: it is not taken. */
  readonly onStep?: (ms: number) => void
}

export interface Contender {
  openClient(url: string, namespace: string): Promise<BenchClient>
  /** Resolves when it takes jobs. */
  openWorker(url: string, namespace: string, work: Work): Promise<BenchWorker>
}

export const contenderNames = ["ponos", "bullmq"] as const
export type ContenderName = (typeof contenderNames)[number]

export const loadContender = async (name: string): Promise<Contender> =>
  name === "ponos" ? (await import("./ponos.ts")).ponos : (await import("./bullmq.ts")).bullmq

/** Makes the steps of a job. */
export const makeSteps = async ({ steps, onStep }: Work, step: (number: number) => PromiseLike<unknown>): Promise<void> => {
  for (let number = 1; number <= steps; number++) {
    const from = onStep === undefined ? 0 : clock()
    await step(number)
    onStep?.(clock() - from)
  }
}
