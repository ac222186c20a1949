/**
 * What the demo does to the pool while events flow, in order. Each act waits until the one before it has had its effect, and is written down
 * before it begins, so that the verdict can tell what had to happen.
 */
import type { Stage } from "./stage.ts"

const first = ["w1", "w2", "w3"]

/** When acts begin, as shares of the time during which events are emitted. */
const plan = { kill: 0.12, join: 0.3, drain: 0.45, tenants: 0.58, settings: 0.8 }

export const play = async (stage: Stage): Promise<void> => {
  await stage.checkStore()
  await stage.begin(first)
  const victim = await kill(stage)
  await join(stage, ["w4", "w5"])
  await drain(stage, victim)
  await replaceTenants(stage)
  await changeSettings(stage)
  await finish(stage)
}

const kill = async (stage: Stage): Promise<string> => {
  await stage.until(plan.kill)
  const worker = stage.busiest()
  const tenants = stage.live.tenantsOf(worker)
  stage.say(`SIGKILL ${worker}, which runs ${tenants.length} tenants`)
  stage.kill(worker)
  await stage.moved(worker, tenants)
  await stage.settled()
  return worker
}

const join = async (stage: Stage, names: ReadonlyArray<string>): Promise<void> => {
  await stage.until(plan.join)
  stage.say(`add ${names.join(" and ")}`)
  await stage.startWorkers(names)
  await stage.settled()
}

const drain = async (stage: Stage, killed: string): Promise<void> => {
  await stage.until(plan.drain)
  const worker = stage.busiest(first.filter((name) => name !== killed))
  const tenants = stage.live.tenantsOf(worker)
  stage.say(`SIGTERM ${worker}, which runs ${tenants.length} tenants: it drains`)
  await stage.drain(worker)
  await stage.moved(worker, tenants)
  await stage.settled()
}

/** As many tenants leave as the guard does not let pass unseen, and as many come. */
const replaceTenants = async (stage: Stage): Promise<void> => {
  await stage.until(plan.tenants)
  const ids = await stage.tenants.ids()
  const count = Math.max(1, Math.min(10, Math.floor(ids.length / 4)))
  const leaving = pick(ids, count)
  const coming = stage.newTenants(count)
  stage.say(`delete ${count} tenants and add ${count}, in one transaction`)
  await stage.tenants.replace(leaving, coming)
  const added = coming.map(({ tenantId }) => tenantId)
  stage.record({ type: "added", tenants: added })
  stage.record({ type: "deleted", tenants: leaving })
  await stage.approveIfHeld(leaving)
  await stage.stopped(leaving)
  stage.record({ type: "gone", tenants: leaving })
  stage.say(`  ${count} jobs stopped`)
  await stage.running(added)
  stage.say(`  ${count} jobs started`)
}

const changeSettings = async (stage: Stage): Promise<void> => {
  await stage.until(plan.settings)
  const tenants = pick(await stage.tenants.ids(), 5)
  const label = "v2"
  stage.say(`change the settings of ${tenants.join(", ")}`)
  await stage.tenants.configure(tenants, { batchSize: 50, label })
  stage.record({ type: "changed", tenants, label })
  await stage.reconciled()
  stage.record({ type: "applied", tenants, label })
  await stage.sees(tenants, label)
  stage.say(`  their jobs see them`)
}

const finish = async (stage: Stage): Promise<void> => {
  await stage.until(1)
  const emitted = await stage.silence()
  stage.record({ type: "silent", emitted })
  stage.say("no further events; waiting until all are delivered")
  await stage.allDelivered(emitted)
  stage.record({ type: "final", desired: await stage.tenants.ids(), delivered: await stage.progress(emitted) })
}

/** Spread over the list, the same in each run. */
const pick = (ids: ReadonlyArray<string>, count: number): string[] =>
  ids.filter((_, index) => Math.floor((index * count) / ids.length) !== Math.floor(((index - 1) * count) / ids.length)).slice(0, count)
