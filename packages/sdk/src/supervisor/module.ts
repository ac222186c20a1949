/**
 * The contract of a worker module. It either starts a worker while it loads (it calls `createWorker`; what it exports does not matter then), or
 * exports, as `default` or as `worker`, the options of `createWorker` or a function that returns them or starts the worker itself.
 */
import { statSync } from "node:fs"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { ModuleUnusable } from "../errors.ts"

/** What the function of a worker module is given. */
export interface WorkerProcessContext {
  /** Number of this process, from 1. */
  readonly number: number
  /** How many there are. */
  readonly processes: number
}

/** The file of a worker module, as an absolute path. */
export const findModule = (module: string | URL): string => {
  const isUrl = module instanceof URL || module.startsWith("file:")
  const path = isUrl ? fileURLToPath(module) : resolve(module)
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) return path
  throw new ModuleUnusable(
    `expected a file that starts a worker, got: ${path}, which ${statSync(path, { throwIfNoEntry: false }) === undefined ? "does not exist" : "is not a file"}. ` +
      "Give the path of a .ts or .js file, relative to the working directory.",
    { module: path },
  )
}

/** Starts the worker of a loaded module. `started`: did it start one already? */
export const startModule = async (
  module: Readonly<Record<string, unknown>>,
  path: string,
  context: WorkerProcessContext,
  started: () => boolean,
): Promise<void> => {
  if (started()) return
  const given = module["default"] ?? module["worker"]
  const result: unknown = typeof given === "function" ? await (given as (context: WorkerProcessContext) => unknown)(context) : await given
  if (started()) return
  if (typeof result !== "object" || result === null || Array.isArray(result)) throw unusable(path, module, given)
  const { createWorker } = await import("../worker.ts")
  await createWorker(result as Parameters<typeof createWorker>[0])
}

const unusable = (path: string, module: Readonly<Record<string, unknown>>, given: unknown): Error => {
  const names = Object.keys(module)
  const returned = typeof given === "function" ? "a function that returned no options and started no worker" : `${typeof given}`
  const got =
    given !== undefined ? returned : names.length === 0 ? "no worker and no exports" : `no worker, and the exports ${names.join(", ")}`
  return new ModuleUnusable(
    `expected ${path} to start a worker, got: ${got}. ` +
      "Await createWorker({ … }) at the top level, or export its options, or a function that returns them, as default or as `worker`.",
    { module: path },
  )
}
