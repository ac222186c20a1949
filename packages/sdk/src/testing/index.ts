/** `@ponos/sdk/testing`: tests of jobs, in this process, with any test runner. */
export { createTestEnv } from "./env.ts"
export type { Calls, TestEnv, TestEnvOptions, TestFaults } from "./env.ts"
export type { Fault, Hints } from "./faults.ts"
export { replay } from "./replay.ts"
export type { Replayed, ReplayOptions } from "./replay.ts"
export { withFaults } from "./with-faults.ts"
export type { FaultTrials, WithFaultsOptions } from "./with-faults.ts"
