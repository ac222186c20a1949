/** A workflow for the crash tests, and what the world outside saw of it. */
import type { Timeouts } from "../../src/define/index.ts"

/** What the world outside saw of one run of a workflow. */
export class World {
  /** Side effects: how often each body of a step, and each activity, ran. */
  readonly ran = new Map<string, number>()
  /** Results of a step that the handler got: one, whatever happened, or a journaled result was computed again (P4). */
  readonly seen = new Map<string, Set<string>>()
  /** Of the run, as interceptors were told. */
  readonly headers = new Set<string>()

  /** A step whose result tells which execution of its body made it. */
  async step(job: any, name: string, fails: boolean | ((count: number) => boolean) = false, options: object = {}): Promise<string> {
    const id = `${job.iteration}.${name}`
    const value = (await job.step(
      name,
      () => {
        const count = this.does(id)
        if (typeof fails === "boolean" ? fails : fails(count)) throw new Error(`${name} fails`)
        return `${name}#${count}`
      },
      options,
    )) as string
    this.note(id, value)
    return name
  }

  /** A side effect; gives how often it was had. */
  does(id: string): number {
    const count = (this.ran.get(id) ?? 0) + 1
    this.ran.set(id, count)
    return count
  }

  /** The same of an activity, by its idempotency key without the run's id. */
  call({ id }: { readonly id: string }): number {
    return this.does(`activity ${id.slice(id.indexOf(".") + 1)}`)
  }

  /** What must have one value, whatever happens. */
  note(id: string, value: string): void {
    this.seen.set(id, (this.seen.get(id) ?? new Set()).add(value))
  }
}

export interface Script {
  readonly handle: any
  readonly world: World
  readonly client: any
  /** Sends a changed input to the live run, as a controller does. */
  readonly changeInput: (input: object) => Promise<void>
}

export interface Workflow {
  readonly name: string
  /** Options of its start. */
  readonly start?: object
  /** Handlers of an older worker, which has the run until it is parked before iteration 2, and leaves. */
  earlier?(world: World): object
  /** Of the type of the state, from then on. */
  readonly stateVersion?: number
  handlers(world: World): object
  activities?(world: World): object
  /** Handlers of the other job. */
  helper?(world: World): object
  /** Looks at other jobs when the run has ended. */
  readonly after?: (client: any) => Promise<unknown>
  readonly timeout?: Timeouts
  readonly script?: (script: Script) => Promise<void>
  /** What the undisturbed run gives. */
  readonly result?: string
}
