/** What a handler must not use, and what to write instead. Names are those of `Reference`; one that ends in a dot stands for all below it. */
import type { Member, Origin, Reference } from "../handler.ts"

export type UseCode = "clock" | "random" | "timer" | "outside-step"

interface Words {
  /** Completes "`Date.now()` in `run` of `feed` …". */
  readonly why: Readonly<Record<Member, string>>
  readonly fix: (origin: Origin, name: string) => string
}

const names: Readonly<Record<UseCode, ReadonlyArray<string>>> = {
  clock: [
    "Date",
    "Date.now",
    "Temporal.Now.",
    "performance.now",
    "performance.timeOrigin",
    "perf_hooks.performance.now",
    "process.hrtime",
    "process.hrtime.",
    "process.uptime",
    "effect.Clock.",
    "effect.DateTime.now",
    "effect.DateTime.nowUnsafe",
  ],
  random: [
    "Math.random",
    "crypto.getRandomValues",
    "crypto.randomBytes",
    "crypto.randomFill",
    "crypto.randomFillSync",
    "crypto.randomInt",
    "crypto.randomUUID",
    "crypto.webcrypto.getRandomValues",
    "crypto.webcrypto.randomUUID",
    "effect.Random.",
  ],
  timer: [
    "setTimeout",
    "setInterval",
    "setImmediate",
    "timers.",
    "timers/promises.",
    "AbortSignal.timeout",
    "Atomics.wait",
    "Atomics.waitAsync",
    "effect.Effect.sleep",
    "effect.Effect.delay",
  ],
  "outside-step": [
    "fetch",
    "EventSource",
    "WebSocket",
    "undici.",
    ...["child_process", "dgram", "dns", "dns/promises", "fs", "fs/promises", "http", "http2", "https", "net", "tls"].map(
      (name) => `${name}.`,
    ),
  ],
}

const exact = new Map<string, UseCode>()
const prefixes: Array<readonly [prefix: string, code: UseCode]> = []
for (const code of Object.keys(names) as ReadonlyArray<UseCode>) {
  for (const name of names[code]) {
    if (name.endsWith(".")) prefixes.push([name, code])
    else exact.set(name, code)
  }
}

/** Constants and pure functions of the modules above. */
const harmless =
  /^(fs|fs\/promises|http|http2)\.(constants|METHODS|STATUS_CODES)\b|^net\.isIP|^effect\.Random\.withSeed$|\.clear(Timeout|Interval|Immediate)$/

/** The code of a reference that may give something else the next time; `undefined`: it may be used. */
export const codeOf = ({ name, form, args }: Reference): UseCode | undefined => {
  // `new Date(x)` computes, `x instanceof Date` compares; without `new` it is the present whatever it is given
  if (name === "Date" && (form === "mention" || (form === "new" && args > 0))) return undefined
  if (harmless.test(name)) return undefined
  return exact.get(name) ?? prefixes.find(([prefix]) => name.startsWith(prefix))?.[1]
}

const pure = "differs from worker to worker, and this function must give the same each time"

export const wordsOfUse: Readonly<Record<UseCode, Words>> = {
  clock: {
    why: {
      run: "gives another time when the handler is replayed",
      update: "is the clock of this worker, not the time at which the update was accepted",
      query: "is the clock of the worker that happens to answer",
      init: pure,
      upgrade: pure,
    },
    fix: ({ member, context }, name) => {
      if (member === "update") return `Write \`${context}.now\`, the store's time of acceptance.`
      if (member === "query")
        return `Answer with times that the state holds, or with \`${context}.idleSeconds\`; the caller knows what time it is.`
      if (member !== "run") return "Take the time from the input, or set it in `run` with `job.now()`."
      const now = name === "Date.now" ? `${context}.now().getTime()` : `${context}.now()`
      return `Write \`${now}\`, the same on replay; to measure how long something takes, do it inside one step.`
    },
  },
  random: {
    why: {
      run: "gives another value when the handler is replayed",
      update: "gives another value each time the update is applied",
      query: "gives another answer each time",
      init: pure,
      upgrade: pure,
    },
    fix: ({ member, context }, name) => {
      const own = name.endsWith("UUID") ? "uuid()" : "random()"
      if (member === "run") return `Write \`${context}.${own}\`, the same on replay, or draw it in a step.`
      if (member === "update") return "Let the caller send the value with the update."
      return `Put the value into the state in \`run\`, with \`job.${own}\`.`
    },
  },
  timer: {
    why: {
      run: "is forgotten when the worker dies, and does not fire at the same place on replay",
      update: "fires after the update has been answered",
      query: "fires after the query has been answered",
      init: pure,
      upgrade: pure,
    },
    fix: ({ member, context }, name) => {
      if (member !== "run") return "Wait in `run`, with `await job.sleep(…)`."
      if (name === "AbortSignal.timeout") return `Give the step or \`${context}.receive\` a \`timeout\`.`
      return `Write \`await ${context}.sleep("1 minute")\`, which survives restarts; inside a step, timers are fine.`
    },
  },
  "outside-step": {
    why: {
      run: "reaches the outside again with every replay, and may find it changed",
      update: "cannot be awaited: updates are synchronous",
      query: "cannot be awaited: queries are synchronous and read-only",
      init: pure,
      upgrade: pure,
    },
    fix: ({ member, context }) =>
      member === "run"
        ? `Put it in a step, which journals its result: \`await ${context}.step("name", (signal) => …)\`; or in an activity.`
        : "Do it in a step of `run`, and keep the result in the state.",
  },
}
