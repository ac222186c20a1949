/** Worker processes that are kept running: what `ponos worker` does, as a call. */
export { supervise } from "./supervisor.ts"
export type { ProcessView, SuperviseOptions, Supervisor, SupervisorEnd } from "./supervisor.ts"
export { describeEvent } from "./events.ts"
export type { SupervisorEvent } from "./events.ts"
export type { MemberPhase } from "./fleet.ts"
export type { WorkerProcessContext } from "./module.ts"
