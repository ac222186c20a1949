/** `ponos`: the command. */
import { createRequire } from "node:module"
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { DurationInput } from "./define/index.ts"
import type { OptionName, OptionSpec } from "./options.ts"
import { optionTable, toMillis } from "./options.ts"
import { BadOption } from "./errors.ts"
import { supervise, type SuperviseOptions } from "./supervisor/index.ts"
import { verify } from "./verify/command.ts"

const { version } = createRequire(import.meta.url)("../package.json") as { version: string }

/** Flags that take "500", "500ms", "10s", and the options that they are. */
const durations = {
  drain: "drainMs",
  "restart-first": "restartFirstMs",
  "restart-max": "restartMaxMs",
  healthy: "healthyMs",
} as const satisfies Record<string, OptionName>

const count = (name: string, option: OptionName) =>
  Flag.Int(name).pipe(Flag.optional, Flag.withDescription(described(optionTable[option], String(optionTable[option].default))))

const duration = (name: keyof typeof durations) =>
  Flag.String(name).pipe(
    Flag.optional,
    Flag.withDescription(described(optionTable[durations[name]], `${optionTable[durations[name]].default} ms`)),
  )

const described = ({ why }: OptionSpec, value: string): string => `${why}; default: ${value}`

const options = {
  module: Argument.String("module").pipe(
    Argument.withDescription("a .ts or .js file that calls createWorker, or exports its options or a function that returns them"),
  ),
  args: Argument.String("args").pipe(Argument.withDescription("arguments for the module, after --"), Argument.variadic()),
  processes: count("processes", "processes"),
  drain: duration("drain"),
  "restart-first": duration("restart-first"),
  "restart-max": duration("restart-max"),
  healthy: duration("healthy"),
  startTries: count("start-tries", "startTries"),
  metricsPort: Flag.Int("metrics-port").pipe(
    Flag.optional,
    Flag.withDescription(
      "worker 1 serves its metrics for Prometheus at http://127.0.0.1:<port>/metrics, worker 2 at the next port …; default: none",
    ),
  ),
  metricsHost: Flag.String("metrics-host").pipe(
    Flag.optional,
    Flag.withDescription("address at which metrics are served; default: 127.0.0.1, which only this machine reaches"),
  ),
}

type Given = Command.Command.Config.Infer<typeof options>
type Flags = Omit<Given, "module" | "args" | "metricsPort" | "metricsHost">

const toMetrics = ({ metricsPort, metricsHost }: Pick<Given, "metricsPort" | "metricsHost">): Pick<SuperviseOptions, "metrics"> => {
  if (Option.isSome(metricsPort))
    return { metrics: { port: metricsPort.value, ...(Option.isSome(metricsHost) ? { host: metricsHost.value } : {}) } }
  if (Option.isNone(metricsHost)) return {}
  throw new BadOption("expected --metrics-host to come with --metrics-port, got: no port", { option: "metricsPort" })
}

const toOptions = (flags: Flags): Readonly<Record<string, number>> =>
  Object.fromEntries(
    Object.entries<Option.Option<string | number>>(flags).flatMap(([name, flag]) => {
      if (Option.isNone(flag)) return []
      if (typeof flag.value === "number") return [[name, flag.value]]
      const given = /^\d+$/.test(flag.value) ? Number(flag.value) : flag.value
      return [[durations[name as keyof typeof durations], toMillis(given as DurationInput, `--${name}`)]]
    }),
  )

/** Not interruptible: at a signal the supervisor drains, and the command waits for it. */
const run = Effect.fnUntraced(function* ({ module, args, metricsPort, metricsHost, ...flags }: Given) {
  const end = yield* Effect.tryPromise({
    try: async () => {
      const supervisor = await supervise({ module, args, ...toMetrics({ metricsPort, metricsHost }), ...toOptions(flags) })
      return await supervisor.stopped
    },
    catch: (error) => error,
  }).pipe(
    Effect.catch((error) =>
      Console.error(`ponos: ${error instanceof Error ? error.message : String(error)}`).pipe(Effect.as({ clean: false })),
    ),
  )
  yield* Effect.sync(() => {
    process.exitCode = end.clean ? 0 : 1
  })
}, Effect.uninterruptible)

const worker = Command.make("worker", options, run).pipe(
  Command.withDescription(
    "Runs the worker of a module in several processes, restarts those that die, and drains all at SIGTERM or SIGINT.",
  ),
)

export const main = Command.make("ponos").pipe(
  Command.withDescription("Durable jobs, one per tenant."),
  Command.withSubcommands([worker, verify]),
  Command.run({ version }),
)
