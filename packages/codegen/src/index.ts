/** ponos-gen as a library, for build tools: the command is this and words. */
export { type FileChange, generate, type GenerateOptions, type GenerateResult, version } from "./core.ts"
export { checkHandlers, type HandlerCheckOptions, type HandlerCheckResult, type HandlerFinding } from "./handler-check.ts"
