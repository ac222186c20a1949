/** What is measured: a client that starts jobs and a worker that runs them, each as its user would open it in a process of its own. */

export interface BenchClient {
  /** Starts the job of a key that was never used; it is accepted when this resolves. */
  start(id: string, sentAt: number): Promise<unknown>
  close(): Promise<void>
}

export interface BenchWorker {
  close(): Promise<void>
}

export interface Contender {
  openClient(url: string, namespace: string): Promise<BenchClient>
  /** `onJob` is the handler; `onCompleted` is called when the worker knows that the job's end is in the store. Resolves when it takes jobs. */
  openWorker(url: string, namespace: string, onJob: (sentAt: number) => void, onCompleted: () => void): Promise<BenchWorker>
}

export const contenderNames = ["ponos", "bullmq"] as const
export type ContenderName = (typeof contenderNames)[number]

export const loadContender = async (name: string): Promise<Contender> =>
  name === "ponos" ? (await import("./ponos.ts")).ponos : (await import("./bullmq.ts")).bullmq
