/** `@ponos/sdk/rmap`: a map that many processes read in memory and write through the store. */
export type { MapOperation } from "../engine/maps.ts"
export { joinMap } from "./joined-map.ts"
export type { JoinedMap, MapWritten } from "./joined-map.ts"
export type { JoinMapOptions } from "./options.ts"
export type { MapChange, MapListener } from "./replicated-map.ts"
