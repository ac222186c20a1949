/** `@ponos/sdk/codec`: what the store keeps of payloads. */
export type { Codec } from "./codec.ts"
export { compress } from "./compress.ts"
export type { CompressOptions } from "./compress.ts"
export { encrypt } from "./encrypt.ts"
export type { EncryptOptions } from "./encrypt.ts"
