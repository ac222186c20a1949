import { defineConfig } from "vitest/config"

// Tests run from the sources of the workspace packages, so that a change is tested without a build.
const conditions = ["source", "module", "node", "development|production"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ["source", "node"] } },
  test: {
    globalSetup: ["./tools/test-redis.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["{packages,examples}/*/test/**/*.test.ts", "{bench,tools}/test/**/*.test.ts"],
          exclude: ["**/*.int.test.ts", "**/node_modules/**"],
        },
      },
      {
        // Tests that start processes of their own: one file at a time, because two of them at once disturb each other's timing.
        extends: true,
        test: {
          name: "int",
          include: ["packages/*/test/**/*.int.test.ts", "examples/*/test/**/*.int.test.ts", "tools/test/**/*.int.test.ts"],
          exclude: ["**/node_modules/**"],
          fileParallelism: false,
          testTimeout: 120_000,
        },
      },
    ],
  },
})
