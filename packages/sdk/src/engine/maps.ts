/**
 * Replicated maps in the store (E9). A map is a small set of texts under one name, with a revision that grows by one with every change;
 * whoever follows it begins with a snapshot, applies the notices in order, and reads a snapshot again when a revision is missing.
 */
import type { Unsubscribe } from "./engine.ts"

export type MapOperation =
  | { readonly type: "set"; readonly key: string; readonly value: string }
  /** Compare-and-set; `undefined` stands for an absent key, in `expect` and in `value`. */
  | { readonly type: "swap"; readonly key: string; readonly expect: string | undefined; readonly value: string | undefined }
  /** The value is a list (list-text.ts); an absent key is an empty one. `unique`: only items that are not in it. */
  | { readonly type: "append"; readonly key: string; readonly items: ReadonlyArray<string>; readonly unique: boolean }
  /** Every occurrence of each item; a list that becomes empty is removed with its key. */
  | { readonly type: "remove"; readonly key: string; readonly items: ReadonlyArray<string> }
  /** The value is a safe integer in decimal; an absent key is 0. */
  | { readonly type: "increment"; readonly key: string; readonly by: number }
  | { readonly type: "delete"; readonly key: string }
  /** Removes all keys. */
  | { readonly type: "reset" }

export interface MapWrite {
  readonly map: string
  /** Request id: a repetition within `retention` ms changes nothing and gets the first answer. */
  readonly id: string
  readonly retention: number
  /** The map is removed when nothing changed it for so many ms; 0: never. */
  readonly keep: number
  readonly maxEntries: number
  /** Of all keys and values in UTF-8. */
  readonly maxBytes: number
  /** Take effect together, in this order, or not at all. */
  readonly operations: ReadonlyArray<MapOperation>
}
export type MapWriteReply =
  /** `values`: of each operation's key after it. Not `changed`: all was so already, the revision is that of another write, nobody is told. */
  | { readonly status: "ok"; readonly revision: number; readonly changed: boolean; readonly values: ReadonlyArray<string | undefined> }
  /**
   * Nothing was written. `conflict`: operation `at`, a swap, found `value`. `mistyped`: operation `at` needs a list or an integer, and found
   * `value`, or an integer would leave the safe range.
   */
  | { readonly status: "conflict" | "mistyped"; readonly revision: number; readonly at: number; readonly value: string | undefined }
  /** Nothing was written: entries or bytes would grow over their limit. */
  | { readonly status: "full"; readonly revision: number }

export interface MapState {
  /** 0 of a map that does not exist. The first one of a life is 4096 × store time in ms, so that a life is above the one before it. */
  readonly revision: number
  /** Absent when the revision is the known one. */
  readonly entries: ReadonlyMap<string, string> | undefined
}

export type MapNotice =
  /** Exactly what revision `revision` changed, after removing everything if `cleared`. `undefined`: removed. */
  | {
      readonly type: "changed"
      readonly revision: number
      readonly cleared: boolean
      readonly changes: ReadonlyArray<readonly [key: string, value: string | undefined]>
    }
  /** The map was destroyed, or notices may have been lost with a connection: read it. */
  | { readonly type: "unsure" }

export interface MapVerbs {
  readMaps(pool: string, items: ReadonlyArray<{ readonly map: string; readonly known?: number }>): Promise<ReadonlyArray<MapState>>
  changeMaps(pool: string, items: ReadonlyArray<MapWrite>): Promise<ReadonlyArray<MapWriteReply>>
  destroyMaps(pool: string, maps: ReadonlyArray<string>): Promise<void>
  /** On the bus (E6). Of one map, in the order of revisions. */
  onMapChange(pool: string, map: string, listener: (notice: MapNotice) => void): Promise<Unsubscribe>
}

/** First revision of a life: above all those of an earlier one that had at most 4096 changes per ms. */
export const revisionsPerMs = 4096
