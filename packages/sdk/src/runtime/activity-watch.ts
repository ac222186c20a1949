/** What the owner of a shard hears of the tries of its runs. */
import type { Engine } from "../engine/engine.ts"
import type { OwnedShard } from "../pool/consumer.ts"
import type { Attempt } from "./attempt.ts"
import type { Beat, TaskQueue } from "./task.ts"

export interface ActivityWatchHost {
  readonly options: { readonly engine: Engine; readonly pool: string; readonly tasks: TaskQueue }
  /** The attempt of that run here, if it is in memory. */
  readonly attemptOf: (address: string, run: string) => Attempt | undefined
}

/**
 * A try that counts no more is told so each time it is heard of: the first message may have been lost, or nobody was there to send it (a run that
 * was terminated while its shard moved).
 */
export const hearTry = async ({ options, attemptOf }: ActivityWatchHost, shard: OwnedShard, beat: Beat): Promise<void> => {
  const attempt = attemptOf(beat.address, beat.run)
  const known = attempt === undefined ? await isLive(options, shard, beat) : attempt.hear(beat)
  if (known === false && shard.trusted()) options.tasks.cancel(beat, `nobody waits for the result of ${beat.id} any more.`)
}

/** False when the store says that the run is over; one that is not in memory may still come back for it. */
const isLive = async ({ engine, pool }: ActivityWatchHost["options"], shard: OwnedShard, { address, run }: Beat): Promise<boolean> => {
  const [stored] = await engine.read(pool, [{ shard: shard.shard, address }])
  return stored !== undefined && stored.run === run && stored.phase !== "ended"
}
