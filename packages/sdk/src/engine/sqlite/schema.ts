import type { DatabaseSync } from "node:sqlite"
import { StoreUnsupported } from "../../errors.ts"

/** Marks a file as a Ponos store in its header ("Pono"), so that another program's database is never written to. */
const applicationId = 0x506f6e6f

/** Layout of the tables below; kept in `PRAGMA user_version`. A newer one is refused. */
export const layoutVersion = 4

/** Values of `runs.phase`, in the order of the numbers stored. The partial indexes below spell these numbers. */
export const phases = ["ready", "active", "parked", "ended"] as const
export const READY = 0
export const ACTIVE = 1
export const PARKED = 2
export const ENDED = 3

/**
 * One row a run, found by address through one unique index; the ready list, the active set, the agenda and the retention are partial
 * indexes of the same rows, so that a transition is one UPDATE and none of them can disagree with the record.
 *
 * - `ready_seq`: place in the ready list: 1024 times the time at which the run became ready, or the shard's highest + 1 if that is more, so that
 *   no counter has to be written, and the time needs no column.
 * - `wakes`: names of signals that wake a parked run, one a line (E5: names have no control characters).
 * - `inbox.number` and `journal.number` go on without gaps: the highest number is the length, found by one seek.
 * - `digests.sum_a`, `sum_b` are decimal text: sums of 48-bit hashes leave the 2^53 that a JavaScript number holds, and SQLite's own
 *   addition silently turns into floating point past 2^63 (K4).
 * - `bus`: what one transaction had to say to other processes, as one row; a ring trimmed by its writers (E6).
 */
const tables = `
CREATE TABLE pools (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  shards INTEGER,
  incarnation TEXT NOT NULL DEFAULT '',
  member_version INTEGER NOT NULL DEFAULT 0,
  assignment_version INTEGER NOT NULL DEFAULT 0,
  assignment_members INTEGER NOT NULL DEFAULT 0,
  assignment TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE kinds (pool INTEGER NOT NULL, kind TEXT NOT NULL, PRIMARY KEY (pool, kind)) STRICT, WITHOUT ROWID;
CREATE TABLE members (
  pool INTEGER NOT NULL,
  session TEXT NOT NULL,
  counter INTEGER NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (pool, session)
) STRICT, WITHOUT ROWID;
CREATE TABLE shards (
  pool INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  session TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  PRIMARY KEY (pool, shard)
) STRICT, WITHOUT ROWID;
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  pool INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  address TEXT NOT NULL,
  phase INTEGER NOT NULL,
  ready_seq INTEGER,
  due INTEGER,
  expiry INTEGER,
  run TEXT NOT NULL,
  revision TEXT NOT NULL,
  consumed INTEGER NOT NULL,
  wakes TEXT NOT NULL,
  controller TEXT,
  spec TEXT,
  sum_a INTEGER,
  sum_b INTEGER,
  outcome TEXT,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX runs_address ON runs (pool, shard, address);
CREATE INDEX runs_ready ON runs (pool, shard, ready_seq) WHERE phase = 0;
CREATE INDEX runs_active ON runs (pool, shard, address) WHERE phase = 1;
CREATE INDEX runs_agenda ON runs (pool, shard, due) WHERE phase = 2 AND due IS NOT NULL;
CREATE INDEX runs_expiry ON runs (pool, shard, expiry) WHERE phase = 3;
CREATE TABLE inbox (
  run INTEGER NOT NULL,
  number INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  request TEXT NOT NULL,
  at INTEGER NOT NULL,
  payload TEXT NOT NULL,
  PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE journal (
  run INTEGER NOT NULL,
  number INTEGER NOT NULL,
  entry TEXT NOT NULL,
  PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE requests (
  pool INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  request TEXT NOT NULL,
  expiry INTEGER NOT NULL,
  answer TEXT,
  PRIMARY KEY (pool, shard, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_expiry ON requests (pool, shard, expiry);
CREATE TABLE digests (
  pool INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  controller TEXT NOT NULL,
  fence TEXT NOT NULL,
  live INTEGER NOT NULL,
  sum_a TEXT NOT NULL,
  sum_b TEXT NOT NULL,
  PRIMARY KEY (pool, shard, controller)
) STRICT, WITHOUT ROWID;
CREATE TABLE bus (id INTEGER PRIMARY KEY, source INTEGER NOT NULL, at INTEGER NOT NULL, notes TEXT NOT NULL) STRICT;
PRAGMA application_id = ${applicationId};
`

/**
 * Layout 2 adds maps and streams; all else is as before.
 *
 * - `streams.at`, `number`: of the last event, so that numbers and times never go back when events are trimmed.
 * - `deliveries`: events given to a consumer and not acknowledged.
 * - `consumers.request`, `numbers`: the last take and what it gave (JSON), for its repetition.
 */
const mapsAndStreams = `
CREATE TABLE maps (
  id INTEGER PRIMARY KEY,
  pool INTEGER NOT NULL,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  entries INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  expiry INTEGER NOT NULL,
  UNIQUE (pool, name)
) STRICT;
CREATE TABLE map_entries (map INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (map, key)) STRICT, WITHOUT ROWID;
CREATE TABLE map_requests (
  map INTEGER NOT NULL,
  request TEXT NOT NULL,
  expiry INTEGER NOT NULL,
  reply TEXT NOT NULL,
  PRIMARY KEY (map, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX map_requests_expiry ON map_requests (map, expiry);
CREATE TABLE streams (
  id INTEGER PRIMARY KEY,
  pool INTEGER NOT NULL,
  name TEXT NOT NULL,
  at INTEGER NOT NULL,
  number INTEGER NOT NULL,
  UNIQUE (pool, name)
) STRICT;
CREATE TABLE events (
  stream INTEGER NOT NULL,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  topic TEXT NOT NULL,
  payload TEXT NOT NULL,
  PRIMARY KEY (stream, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_at ON events (stream, at, number);
CREATE TABLE stream_requests (
  stream INTEGER NOT NULL,
  request TEXT NOT NULL,
  expiry INTEGER NOT NULL,
  at INTEGER NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (stream, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX stream_requests_expiry ON stream_requests (stream, expiry);
CREATE TABLE sinks (
  id INTEGER PRIMARY KEY,
  stream INTEGER NOT NULL,
  name TEXT NOT NULL,
  at INTEGER NOT NULL,
  number INTEGER NOT NULL,
  UNIQUE (stream, name)
) STRICT;
CREATE TABLE consumers (
  sink INTEGER NOT NULL,
  name TEXT NOT NULL,
  counter INTEGER NOT NULL,
  request TEXT NOT NULL DEFAULT '',
  numbers TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (sink, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE deliveries (
  sink INTEGER NOT NULL,
  number INTEGER NOT NULL,
  consumer TEXT NOT NULL,
  at INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (sink, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_at ON deliveries (sink, at);
CREATE INDEX deliveries_consumer ON deliveries (sink, consumer);
`

/**
 * Layout 3 adds the audit of each shard (`entry` is JSON), and to members the counter at which somebody is about to mark the session dead
 * (members.ts).
 */
const auditsAndSuspects = `
ALTER TABLE members ADD COLUMN suspect INTEGER;
CREATE TABLE audit (
  pool INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  number INTEGER NOT NULL,
  entry TEXT NOT NULL,
  PRIMARY KEY (pool, shard, number)
) STRICT, WITHOUT ROWID;
`

/**
 * Layout 4 adds links of runs and the outbox of each shard (X1). `runs.links` counts a run's links, so that the end of a run that has none asks for
 * nothing.
 */
const linksAndOutbox = `
ALTER TABLE runs ADD COLUMN links INTEGER NOT NULL DEFAULT 0;
CREATE TABLE links (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, link TEXT NOT NULL, UNIQUE (run, link)) STRICT;
CREATE TABLE outbox (
  pool INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  address TEXT NOT NULL,
  run TEXT NOT NULL,
  link TEXT NOT NULL,
  outcome TEXT NOT NULL,
  PRIMARY KEY (pool, shard, address, run, link)
) STRICT, WITHOUT ROWID;
`

const pragma = (db: DatabaseSync, name: string): number => Number(db.prepare(`PRAGMA ${name}`).get()?.[name])

/** Refuses a file that is not ours to write; says which layout is there, 0 for a new file. */
const inspect = (db: DatabaseSync, url: string): number => {
  const version = pragma(db, "user_version")
  const owner = pragma(db, "application_id")
  const empty = db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"] === 0
  if (empty && version === 0 && owner === 0) return 0
  if (owner !== applicationId) {
    throw new StoreUnsupported(
      `expected ${url} to be a Ponos store or a file that does not exist yet, got: another program's SQLite database. ` +
        "Give Ponos a file of its own.",
      { url },
    )
  }
  if (version > layoutVersion) {
    throw new StoreUnsupported(
      `expected ${url} to have layout ${layoutVersion} or older, got: layout ${version}, written by a newer Ponos. ` +
        "Update this program; a newer layout is never opened by older code.",
      { url, version, supported: layoutVersion },
    )
  }
  return version
}

/** Creates the tables in a new file, or those that an older layout lacks. Two processes may do this at once: the second finds them made. */
export const migrate = (db: DatabaseSync, url: string): void => {
  if (inspect(db, url) === layoutVersion) return
  db.exec("BEGIN IMMEDIATE")
  try {
    const layout = inspect(db, url)
    if (layout < 1) db.exec(tables)
    if (layout < 2) db.exec(mapsAndStreams)
    if (layout < 3) db.exec(auditsAndSuspects)
    if (layout < 4) db.exec(linksAndOutbox)
    db.exec(`PRAGMA user_version = ${layoutVersion}`)
    db.exec("COMMIT")
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK")
    throw error
  }
}
