/** Workflows as data: what a random one is made of, and what its client does meanwhile. All times in ms of the test's clock. */

export type Signal = "note" | "stop"

export type Node =
  /** Its body fails `fails` times, and is tried `tries` times. */
  | { readonly op: "step"; readonly fails: number; readonly tries: number; readonly deferred: boolean }
  | { readonly op: "activity"; readonly fails: number; readonly declared: boolean }
  | { readonly op: "sleep"; readonly ms: number }
  | { readonly op: "receive"; readonly name: Signal; readonly timeout?: number | undefined; readonly only?: string | undefined }
  | { readonly op: "poll"; readonly name: Signal | "" }
  | { readonly op: "version" }
  /** Changes the state. */
  | { readonly op: "add"; readonly by: number }
  /** Reads the state. */
  | { readonly op: "look" }
  /** Throws the declared error. */
  | { readonly op: "gone" }
  /** Ends attempts 1 to `until` of the iteration with a failure. */
  | { readonly op: "flaky"; readonly until: number; readonly how: "throw" | "step" | "activity" }
  /** Starts a child, lets something happen, maybe tells it to go on, and maybe awaits it. */
  | {
      readonly op: "child"
      readonly ms: number
      readonly fails: boolean
      readonly signal: boolean
      readonly policy: "cancel" | "terminate" | "abandon"
      readonly during?: Node | undefined
      readonly wait: boolean
    }
  | { readonly op: "seq" | Together | "saga"; readonly nodes: ReadonlyArray<Node> }
  | { readonly op: "catch"; readonly node: Node }
  | { readonly op: "finally"; readonly node: Node; readonly clean: Node }

export type Together = "all" | "race" | "settled"

export interface Again {
  readonly after?: number | undefined
  readonly on?: ReadonlyArray<Signal | "add"> | undefined
}

export interface Program {
  /** Delay of its start. */
  readonly after?: number | undefined
  readonly timeout: { readonly run?: number | undefined; readonly iteration?: number | undefined }
  /** All but the last end with `again`. */
  readonly iterations: ReadonlyArray<{ readonly body: Node; readonly again: Again }>
}

export type Deed =
  | { readonly do: "note"; readonly text: string }
  | { readonly do: "stop" }
  /** The update; below 0 it is refused. */
  | { readonly do: "add"; readonly by: number }
  | { readonly do: "cancel" }
  /** Takes a history and replays it. */
  | { readonly do: "history" }

/** Done `gap` ms after the one before. */
export type Action = Deed & { readonly gap: number }

export interface Case {
  readonly program: Program
  readonly script: ReadonlyArray<Action>
}

/** Attempts of an iteration in all, and the time between two. */
export const attempts = 3
export const backOffMs = 777
/** Between two tries of a step, and of an activity (the fixture's). */
export const stepRetryMs = 50
export const activityRetryMs = 10
export const activityTries = 3
/** `timeout.cleanup`, by default. */
export const cleanupMs = 60_000
/** Of it, for a worker that takes over at its end. */
export const leastCleanupMs = 1_000
/** After the script: what still waits is cancelled, and has time to end. */
export const restMs = 3_600_000
