/** What a pass found and did, as the controller's job keeps it: data that `status()` gives back. */
import { Schema } from "effect"

const Problem = Schema.Struct({
  type: Schema.Literals(["invalid", "unreadable", "duplicate"]),
  position: Schema.String,
  key: Schema.optionalKey(Schema.String),
  path: Schema.String,
  message: Schema.String,
})

const ActionFailure = Schema.Struct({
  address: Schema.String,
  action: Schema.Literals(["create", "update", "stop"]),
  attempts: Schema.Finite,
  until: Schema.Finite,
  error: Schema.String,
})

const Counts = Schema.Struct({
  create: Schema.Finite,
  update: Schema.Finite,
  stop: Schema.Finite,
  unchanged: Schema.Finite,
  foreign: Schema.Finite,
  stopping: Schema.Finite,
})

export const PassReportSchema = Schema.Struct({
  /** Store time at the beginning of the pass, epoch ms. */
  at: Schema.Finite,
  durationMs: Schema.Finite,
  /** Hash of the plan; what `approve` takes. */
  hash: Schema.String,
  counts: Counts,
  /** Live runs of this controller, those on their way out not counted. */
  observed: Schema.Finite,
  desired: Schema.Struct({
    valid: Schema.Finite,
    invalid: Schema.Finite,
    unreadable: Schema.Finite,
    duplicates: Schema.Finite,
    complete: Schema.Boolean,
    error: Schema.optionalKey(Schema.String),
    /** The first few. */
    problems: Schema.Array(Problem),
  }),
  guard: Schema.Struct({
    allowed: Schema.Boolean,
    approved: Schema.Boolean,
    approvable: Schema.Boolean,
    reasons: Schema.Array(Schema.Literals(["source", "unreachable", "empty", "ratio", "count", "unreadable"])),
    message: Schema.String,
  }),
  /** `changed`: refused, because the run is not what was observed; `delayed`: in back-off; the rest as in `counts`. */
  applied: Schema.Struct({
    create: Schema.Finite,
    update: Schema.Finite,
    stop: Schema.Finite,
    changed: Schema.Finite,
    failed: Schema.Finite,
    delayed: Schema.Finite,
  }),
  /** Shards whose digests differed and whose runs were listed. */
  listedShards: Schema.Finite,
  /** Shards whose server did not answer: their jobs were left as they are. */
  unreachableShards: Schema.optionalKey(Schema.Finite),
  /** A newer controller writes to the pool: this pass ended early. */
  superseded: Schema.Boolean,
  /** Keys whose live run another has started, the first few. */
  foreign: Schema.Array(Schema.String),
  /** Tenants in back-off with their last error, the first few. */
  failures: Schema.Array(ActionFailure),
})
export interface PassReport extends Schema.Schema.Type<typeof PassReportSchema> {}

export const ControllerStateSchema = Schema.Struct({
  paused: Schema.NullOr(Schema.Struct({ reason: Schema.String, at: Schema.Finite })),
  /** Plan hash that an operator has approved and no pass has used (G-6). */
  approval: Schema.NullOr(Schema.String),
  passes: Schema.Finite,
  /** Store time of the last pass that listed all shards, whatever the digests said (K4). */
  fullAt: Schema.Finite,
  /** Asked for by an operator. */
  fullNext: Schema.Boolean,
  /** What was observed by the last pass, or when stops were first held back (G-7), and in which life of the store (K3). */
  baseline: Schema.NullOr(Schema.Struct({ incarnation: Schema.String, observed: Schema.Finite })),
  /** Runs that were asked to stop and still live (P-8), bounded. */
  stopping: Schema.Array(Schema.String),
  /** Back-off table, bounded. */
  failures: Schema.Array(ActionFailure),
  last: Schema.NullOr(PassReportSchema),
})
export interface ControllerState extends Schema.Schema.Type<typeof ControllerStateSchema> {}

export const firstState = (): ControllerState => ({
  paused: null,
  approval: null,
  passes: 0,
  fullAt: 0,
  fullNext: false,
  baseline: null,
  stopping: [],
  failures: [],
  last: null,
})
