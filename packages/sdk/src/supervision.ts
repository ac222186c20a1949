/**
 * The seam between a supervised process (supervisor/child.ts) and the workers that its module starts. It is a global, since the module may
 * load another copy of this package than the supervisor's.
 */
export interface Supervised {
  readonly stopped: Promise<void>
  drain(): Promise<void>
}

export interface Supervision {
  /** Options that a worker of a supervised process has when it is given no others. */
  readonly defaults: { readonly drainMs: number; readonly onOverrun: "exit" }
  started(worker: Promise<Supervised>): void
}

const place = Symbol.for("@ponos/sdk/supervision")
const world = globalThis as { [place]?: Supervision }

/** Who watches over this process, if anybody. */
export const supervision = (): Supervision | undefined => world[place]

export const superviseHere = (one: Supervision): void => {
  world[place] = one
}
