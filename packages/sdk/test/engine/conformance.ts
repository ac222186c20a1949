/** What every driver of the engine does. Each part is a file by noun in conformance/; a driver's test names its store once. */
import { afterEach, beforeEach, describe } from "vitest"
import { auditConformance } from "./conformance/audit.ts"
import { busConformance } from "./conformance/bus.ts"
import { commitConformance } from "./conformance/commits.ts"
import { digestConformance } from "./conformance/digests.ts"
import { lifeConformance } from "./conformance/lives.ts"
import { linkConformance } from "./conformance/links.ts"
import { mapConformance } from "./conformance/maps.ts"
import { messageConformance } from "./conformance/messages.ts"
import { ownershipConformance } from "./conformance/ownership.ts"
import { poolConformance } from "./conformance/pools.ts"
import { queueConformance } from "./conformance/queues.ts"
import { retentionConformance } from "./conformance/retention.ts"
import { runConformance } from "./conformance/runs.ts"
import { streamConformance } from "./conformance/streams.ts"
import { takeConformance } from "./conformance/takes.ts"
import { timerConformance } from "./conformance/timers.ts"
import { type TestStore, World } from "./world.ts"

/** Gives each test a world of its own, and takes it away, with a check that nothing is left. */
export function worlds(store: () => TestStore): () => World {
  let world: World | undefined
  beforeEach(async () => {
    world = await World.create(store())
  })
  afterEach(async () => {
    await world?.close()
    world = undefined
  })
  return () => {
    if (!world) throw new Error("there is a world only inside of a test")
    return world
  }
}

export function conformance(name: string, store: () => TestStore): void {
  describe(`engine on ${name}`, () => {
    const world = worlds(store)
    describe("pools and members", () => poolConformance(world))
    describe("lives", () => lifeConformance(world))
    describe("runs", () => runConformance(world))
    describe("messages", () => messageConformance(world))
    describe("ownership", () => ownershipConformance(world))
    describe("audit", () => auditConformance(world))
    describe("takes", () => takeConformance(world))
    describe("queues", () => queueConformance(world))
    describe("commits", () => commitConformance(world))
    describe("timers", () => timerConformance(world))
    describe("retention", () => retentionConformance(world))
    describe("digests and controllers", () => digestConformance(world))
    describe("links and the outbox", () => linkConformance(world))
    describe("maps", () => mapConformance(world))
    describe("streams", () => streamConformance(world))
    describe("bus", () => busConformance(world))
  })
}
