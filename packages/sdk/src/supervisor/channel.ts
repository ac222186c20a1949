/** What a supervisor and its worker processes say to each other. The channel's end tells a process that its supervisor is gone. */

/** Environment variable with the `Charge` of a process, as JSON. */
export const chargeName = "PONOS_SUPERVISED"

/** What a process is started with. */
export interface Charge {
  readonly module: string
  readonly number: number
  readonly processes: number
  /** Time for draining, as the supervisor counts it. */
  readonly drainMs: number
  /** Where it serves its metrics. */
  readonly metrics?: { readonly host: string; readonly port: number }
}

export type Report =
  /** A worker has joined. */
  | { readonly type: "ready" }
  /** Why the process is about to end. */
  | { readonly type: "failed"; readonly why: string; readonly hopeless: boolean }

/** What a supervisor asks of a process. Not a signal, which systemd and terminals send to the processes too: a second one would end them. */
export interface Request {
  readonly type: "drain"
}
