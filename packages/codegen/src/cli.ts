/** `ponos-gen`: the command. */
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { type FileChange, generate, version } from "./core.ts"
import { checkHandlers } from "./handler-check.ts"

const options = {
  files: Argument.String("jobs.def.ts").pipe(
    Argument.withDescription("definition files; default: jobs.def.ts or src/jobs.def.ts"),
    Argument.variadic(),
  ),
  check: Flag.Boolean("check").pipe(
    Flag.withDefault(false),
    Flag.withDescription("write nothing, and exit with 1 if a generated file is stale"),
  ),
  out: Flag.String("out").pipe(Flag.optional, Flag.withDescription("output folder; default: ponos.gen beside each definition file")),
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

const report = (files: ReadonlyArray<FileChange>, jobs: number): string => {
  const lines = files.map(({ file, change }) => `${change.padEnd(9)} ${file}`)
  return [...lines, `${counted(jobs, "job")}, ${counted(files.length, "file")}`].join("\n")
}

const run = Effect.fnUntraced(function* ({ files, check, out }: Command.Command.Config.Infer<typeof options>) {
  const result = yield* Effect.promise(() => generate({ files, check, out: Option.getOrUndefined(out) }))
  if (!result.ok) {
    yield* Console.error(result.mistakes.join("\n"))
    yield* Console.error(`${counted(result.mistakes.length, "mistake")}; nothing was written`)
    return yield* fail
  }
  const stale = result.files.filter(({ change }) => change !== "unchanged")
  if (!check || stale.length === 0) return yield* Console.log(report(result.files, result.jobs))
  yield* Console.error(stale.map(({ file, change }) => `${change === "created" ? "missing" : "stale"} ${file}`).join("\n"))
  yield* Console.error(
    `${counted(stale.length, "generated file")} out of date. Run ${["ponos-gen", ...files].join(" ")} and commit the result.`,
  )
  return yield* fail
})

const handlerOptions = {
  files: Argument.String("file or folder").pipe(
    Argument.withDescription("files with handlers, and folders in which they are looked for; default: the folder of jobs.def.ts"),
    Argument.variadic(),
  ),
  json: Flag.Boolean("json").pipe(Flag.withDefault(false), Flag.withDescription("print the findings as JSON, for tools")),
}

const runCheck = Effect.fnUntraced(function* ({ files, json }: Command.Command.Config.Infer<typeof handlerOptions>) {
  const result = yield* Effect.promise(() => checkHandlers({ files }))
  const { findings } = result
  const checked = `${counted(result.jobs, "job")} in ${counted(result.files.length, "file")}`
  if (json) {
    yield* Console.log(JSON.stringify(result, (key, value: unknown) => (key === "text" ? undefined : value), 2))
  } else if (findings.length === 0) yield* Console.log(`${checked}: no findings`)
  else yield* Console.error([...findings.map(({ text }) => text), `${counted(findings.length, "finding")}; ${checked} checked`].join("\n"))
  if (findings.length > 0) yield* fail
})

/** Everything has been said by then, and in better words than an error's. */
const fail = Effect.sync(() => {
  process.exitCode = 1
})

const check = Command.make("check-handlers", handlerOptions, runCheck).pipe(
  Command.withDescription(
    "Finds what must not be in handlers: clocks, randomness, timers and I/O outside steps, durable calls that nobody awaits.",
  ),
)

export const main = Command.make("ponos-gen", options, run).pipe(
  Command.withDescription("Prints schemas, a typed client and typed worker stubs from jobs.def.ts."),
  Command.withSubcommands([check]),
  Command.run({ version }),
)
