/**
 * What a worker process notes about the code of its jobs, from the inside and without asking the store, all in ms on the clock of clock.ts.
 * Everything that is measured about moves is computed from these records.
 */

/** One execution of a handler: from before its first line until after its last one. */
export interface Interval {
  readonly key: string
  readonly from: number
  /** null: it runs. */
  readonly to: number | null
  /**
   * When the last piece of its user's work began, and when it did it: several times a second while it is not aborted. A piece is what runs
   * without a return to the event loop.
   */
  readonly begun: number
  readonly worked: number
}

/** A durable write that the store acknowledged. */
export interface Write {
  readonly key: string
  /** `job.fence` as digits of equal length. */
  readonly fence: string
  readonly iteration: number
  readonly sent: number
  readonly acknowledged: number
}

/** The end of `close`. */
export interface Closing {
  readonly key: string
  readonly at: number
}

/** A process ran nothing. */
export interface Still {
  readonly from: number
  readonly to: number
}

export interface Records {
  readonly intervals: ReadonlyArray<Interval>
  readonly writes: ReadonlyArray<Write>
  readonly closings: ReadonlyArray<Closing>
  /** Between two of its notes that lie far apart: on a busy machine a process may get no time for seconds. */
  readonly stalls: ReadonlyArray<Still>
  /** Writes that were refused because another owns the job. */
  readonly refused: number
  /** Events that a worker which is left alone has not. */
  readonly troubles: ReadonlyArray<string>
}

export const noRecords: Records = { intervals: [], writes: [], closings: [], stalls: [], refused: 0, troubles: [] }
