import { defineConfig } from "oxlint"

/**
 * The layers of packages/sdk/src from top to bottom: a file imports from its own layer and from those below it. A layer is the folder or
 * the file of that name. `define` stands outside: all may import it, and it imports nothing.
 */
const layers = ["client", "supervisor", "worker", "runtime", "pool", "streams", "rmap", "engine"]
const ground = ["codec", "errors", "options", "supervision", "telemetry"]
/** What the packages offer to the outside: nothing inside imports it. */
const doors = ["index", "internal", "gen", "testing"]

const sdk = "packages/sdk/src"
const upward = (names: readonly string[], layer: string) => ({
  regex: `^(\\.\\./|\\./)+(${names.join("|")})(/|\\.ts$)`,
  message: `${layer} lies below this import. Move what both need down into a lower layer, or pass it in as an argument.`,
})

/** Libraries with one place each, so that replacing one touches one folder. */
const homes = [
  { name: "ioredis", regex: "^ioredis($|/)", message: "Only engine/redis talks to Redis: add a verb to the engine instead." },
  {
    name: "bullmq",
    regex: "^bullmq($|/)",
    message: "Only the activity queue (runtime/activit*) knows BullMQ, which never holds the truth about a job.",
  },
  {
    name: "ts-morph",
    regex: "^ts-morph($|/)",
    message: "Only the parser of the code generator reads TypeScript: extend its model instead.",
  },
]
const foreign = (allowed: readonly string[] = []) =>
  homes.filter(({ name }) => !allowed.includes(name)).map(({ regex, message }) => ({ regex, message }))

type Pattern = { regex: string; message: string }
/** Options of one rule do not merge between overrides: the last matching one counts, so each carries its whole list. */
const imports = (files: string[], patterns: Pattern[]) => ({
  files,
  rules: { "no-restricted-imports": ["error", { patterns }] as ["error", { patterns: Pattern[] }] },
})
const place = (name: string) => [`${sdk}/${name}/**`, `${sdk}/${name}.ts`]

export default defineConfig({
  plugins: ["typescript", "unicorn", "oxc", "import", "promise", "node", "vitest"],
  categories: { correctness: "error" },
  ignorePatterns: ["**/dist/**", "**/ponos.gen/**", "**/*.gen.ts", "**/*.generated.ts", "**/fixtures/**"],
  rules: {
    // A promise that nobody awaits is an error that nobody sees, in a program whose whole point is to lose nothing.
    "typescript/no-floating-promises": "error",
    "typescript/no-misused-promises": ["error", { checksVoidReturn: false }],
    "typescript/await-thenable": "error",
    // A new state or reply must be handled wherever states and replies are told apart; a `default` says that the rest is meant.
    "typescript/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    // One name per thing, the same in every file, found by search and renamed by tools.
    "import/no-default-export": "error",
    // Folders that import each other in a ring cannot be read or tested apart.
    "import/no-cycle": "error",
    eqeqeq: "error",
    "no-var": "error",
    "prefer-const": "error",
    // A sign to cut, not a law (style guide): long files are where "the storage" and "the worker" become one.
    "max-lines": ["warn", { max: 500, skipBlankLines: true, skipComments: true }],
    // Effect generators without a yield are constants, and are meant so.
    "require-yield": "off",
    // Tests assert through helpers (conformance suites, invariant checkers), which this rule cannot follow.
    "vitest/expect-expect": "off",
    // Effect's tagged values and the engine's replies have their own `then`-free shape; conditional expects serve property tests.
    "vitest/no-conditional-expect": "off",
    // Suites that are applied to several stores take their bodies, and whether they run, from variables.
    "vitest/no-conditional-tests": "off",
    "vitest/valid-describe-callback": "off",
    // Titles come from variables in suites that are applied to several stores.
    "vitest/valid-title": "off",
    // describe.skip carries its reason in the name (tools/with-redis.ts).
    "vitest/no-disabled-tests": "off",
    "vitest/require-to-throw-message": "off",
    // The second argument of Vitest's expect is a message.
    "vitest/valid-expect": ["error", { maxArgs: 2 }],
  },
  overrides: [
    imports(["packages/*/src/**"], foreign()),
    imports(["packages/codegen/src/parser/**", "packages/codegen/src/parser*.ts"], foreign(["ts-morph"])),
    imports(place("define"), [
      { regex: "^([^.]|\\.\\.)", message: "define/ imports nothing: jobs.def.ts must load anywhere, without the rest of the SDK." },
    ]),
    ...layers.map((layer, depth) => imports(place(layer), [upward([...layers.slice(0, depth), ...doors], layer), ...foreign()])),
    ...ground.map((name) => imports(place(name), [upward([...layers, ...doors], name), ...foreign()])),
    imports([`${sdk}/engine/redis/**`], [upward([...layers.slice(0, -1), ...doors], "engine"), ...foreign(["ioredis"])]),
    imports(
      [`${sdk}/runtime/activit*/**`, `${sdk}/runtime/activit*.ts`],
      [upward([...layers.slice(0, layers.indexOf("runtime")), ...doors], "runtime"), ...foreign(["bullmq"])],
    ),
    // Config files must export a default: their tools ask for it.
    { files: ["*.config.ts"], rules: { "import/no-default-export": "off" } },
  ],
})
