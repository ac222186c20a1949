import type { PoolMember } from "./member.ts"
import type { JobDesk } from "./job-desk.ts"
import type { Job } from "./job.ts"

/** A worker of a low-level pool: owns shards, and yields the jobs of their keys. */
export class Worker implements AsyncDisposable {
  readonly group: string
  /** Resolves when the worker has left the pool. */
  readonly stopped: Promise<void>
  readonly #member: PoolMember
  readonly #desk: JobDesk

  constructor(member: PoolMember, desk: JobDesk) {
    this.#member = member
    this.#desk = desk
    this.group = member.group
    this.stopped = member.stopped.then(() => desk.close())
  }

  /** Id of the worker's session; another one after an outage of the store that outlasted its lease. */
  get id(): string {
    return this.#member.session
  }

  /** The shards that the worker holds now. */
  shards(): ReadonlyArray<number> {
    return this.#member.owned().map(({ shard }) => shard)
  }

  /**
   * The jobs of this worker's keys, as they come, until `abortSignal` fires or the worker has stopped. Start the work and go on with the loop:
   * a job stays with the worker until it is done or stopped, also after the loop. The worker takes jobs only while a loop runs.
   */
  jobs(options: { readonly abortSignal?: AbortSignal } = {}): AsyncGenerator<Job, void, undefined> {
    return this.#desk.jobs(options.abortSignal)
  }

  /** Leaves the pool: aborts its jobs, waits until they have settled, and hands them over. */
  async stop(): Promise<void> {
    await this.#member.drain({ reason: "stop" })
    await this.stopped
  }

  /** For tests: ends as a killed process does. Its jobs go on elsewhere when its lease is over. */
  kill(): void {
    this.#member.kill()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
