/**
 * The cast in generated schemas gives back the user's type; what it hides is compared here: the type that Effect infers from the printed
 * schema equals the user's, but for `readonly` and brands. Type-checked only; a mistake is a compile error.
 */
import type { In, OutOf, SignalPayload, State } from "@ponos/sdk/gen"
import type { Schema } from "effect"
import type * as all from "./fixtures/all-types/jobs.def.ts"
import type * as allSchemas from "./fixtures/all-types/uncast.generated.ts"
import type * as derived from "./fixtures/derived/jobs.def.ts"
import type * as derivedSchemas from "./fixtures/derived/uncast.generated.ts"
import type * as feed from "./fixtures/feed/jobs.def.ts"
import type * as feedSchemas from "./fixtures/feed/uncast.generated.ts"
import type * as imports from "./fixtures/imports/jobs.def.ts"
import type * as importsSchemas from "./fixtures/imports/uncast.generated.ts"

type Branded = { readonly __brand: unknown }
/** One form for types that differ in `readonly` and brands only; also flattens intersections. */
type Plain<A> = unknown extends A
  ? unknown
  : A extends string & Branded
    ? string
    : A extends string | number | bigint | boolean | null | undefined | Date | URL | Uint8Array
      ? A
      : A extends ReadonlyMap<infer K, infer V>
        ? ReadonlyMap<Plain<K>, Plain<V>>
        : A extends ReadonlySet<infer V>
          ? ReadonlySet<Plain<V>>
          : { readonly [K in keyof A]: Plain<A[K]> }

type Same<A, B> = (<G>() => G extends A ? 1 : 2) extends <G>() => G extends B ? 1 : 2 ? true : { readonly differ: [A, B] }
type Check<S extends Schema.Top, User> = Same<Plain<S["Type"]>, Plain<User>>

const same = <T extends true>(): T => true as T

same<Check<typeof allSchemas.Strings, all.Strings>>()
same<Check<typeof allSchemas.Numbers, all.Numbers>>()
// A field that may hold `undefined` is absent once it is stored (rule 20).
same<Check<typeof allSchemas.Others, Omit<all.Others, "explicit"> & { explicit?: string }>>()
same<Check<typeof allSchemas.Shape, all.Shape>>()
same<Check<typeof allSchemas.Circle, all.Circle>>()
type All = typeof all.everything
same<Check<typeof allSchemas.EverythingAtSignal, SignalPayload<All, "at">>>()
same<Check<typeof allSchemas.EverythingAskQueryIn, In<All, "queries", "ask">>>()
same<Check<typeof allSchemas.EverythingAskQueryOut, OutOf<All, "queries", "ask">>>()
same<Check<typeof allSchemas.EverythingFlagQueryOut, OutOf<All, "queries", "flag">>>()
same<Check<typeof allSchemas.EverythingSetUpdateOut, OutOf<All, "updates", "set">>>()
same<Check<typeof allSchemas.EverythingActActivityIn, In<All, "activities", "act">>>()
same<Check<typeof allSchemas.EverythingActActivityOut, OutOf<All, "activities", "act">>>()

same<Check<typeof feedSchemas.FeedInput, feed.FeedInput>>()
same<Check<typeof feedSchemas.FeedState, feed.FeedState>>()
same<Check<typeof feedSchemas.FeedGone, feed.FeedGone>>()
type Feed = typeof feed.tenantFeed
same<Check<typeof feedSchemas.TenantFeedDeliverActivityIn, In<Feed, "activities", "deliver">>>()

same<Check<typeof importsSchemas.SyncState, State<typeof imports.sync>>>()
same<Check<typeof importsSchemas.SyncPageQueryOut, OutOf<typeof imports.sync, "queries", "page">>>()
same<Check<typeof importsSchemas.SyncPagesQueryOut, OutOf<typeof imports.sync, "queries", "pages">>>()

type Derived = typeof derived.derive
same<Check<typeof derivedSchemas.Extended, derived.Extended>>()
same<Check<typeof derivedSchemas.DeriveState, State<Derived>>>()
same<Check<typeof derivedSchemas.DeriveBothQueryOut, OutOf<Derived, "queries", "both">>>()
same<Check<typeof derivedSchemas.Wrapped, In<Derived, "queries", "both">>>()
same<Check<typeof derivedSchemas.Answer, OutOf<Derived, "queries", "answer">>>()
same<Check<typeof derivedSchemas.DeriveInlineActivityOut, OutOf<Derived, "activities", "inline">>>()

// The comparison itself tells types apart.
// @ts-expect-error another field
same<Check<typeof feedSchemas.FeedState, feed.FeedInput>>()
// @ts-expect-error a required field where an optional one is meant
same<Check<typeof allSchemas.Strings, Required<all.Strings>>>()
