#!/usr/bin/env node
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { main } from "./cli.ts"

main.pipe(
  Effect.provide(NodeServices.layer),
  // The supervisor has its own handlers of signals: a clean drain is a success, whatever began it.
  NodeRuntime.runMain({ teardown: (exit, end) => end(Number(process.exitCode ?? (exit._tag === "Success" ? 0 : 1))) }),
)
