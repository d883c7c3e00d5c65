package sqlitestore

// applicationID marks state.db as ours ("Tocs" in ASCII).
const applicationID = 0x546f6373

// migrations lead from one schema version to the next. Released scripts never
// change.
//
// A queue has a number of its own, so that purging it is one update: the
// stream gets a new number, and the rows under the old one (garbage_queues)
// are erased in the background. Times are nanoseconds since 1970, 0 for none.
func migrations() []string { return []string{version1, version2, version3} }

const version1 = `
-- one row per stream; config holds what only the API asks for
CREATE TABLE streams (
	num     INTEGER PRIMARY KEY, -- never used twice
	id      TEXT    NOT NULL UNIQUE,
	owner   TEXT    NOT NULL,
	active  INTEGER NOT NULL,
	config  TEXT    NOT NULL
) STRICT;

-- the part of a stream that changes with its queue and its subjects
CREATE TABLE states (
	stream     INTEGER PRIMARY KEY, -- streams.num
	queue      INTEGER NOT NULL UNIQUE,
	high_seq   INTEGER NOT NULL,    -- highest position ever put
	high_n     INTEGER NOT NULL,
	entries    INTEGER NOT NULL,
	exclusions INTEGER NOT NULL
) STRICT;

-- every id ever given to a stream
CREATE TABLE ids (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- back-off of push streams that are not healthy
CREATE TABLE health (stream INTEGER PRIMARY KEY, state TEXT NOT NULL) STRICT;

-- lane: 0 control (seq counts arrivals), 1 resent, 2 events
CREATE TABLE items (
	queue    INTEGER NOT NULL,
	lane     INTEGER NOT NULL,
	seq      INTEGER NOT NULL,
	n        INTEGER NOT NULL,
	hash     INTEGER NOT NULL, -- of jti
	jti      TEXT    NOT NULL,
	epoch    INTEGER NOT NULL,
	type     TEXT    NOT NULL,
	key      TEXT    NOT NULL, -- order key
	subject  INTEGER NOT NULL,
	payload  BLOB,
	added    INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	control  INTEGER NOT NULL, -- lane of the item itself
	resent   INTEGER NOT NULL,
	PRIMARY KEY (queue, lane, seq, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX items_jti ON items (queue, hash);

CREATE TABLE dead (
	num      INTEGER PRIMARY KEY AUTOINCREMENT,
	stream   INTEGER NOT NULL,
	hash     INTEGER NOT NULL,
	jti      TEXT    NOT NULL,
	seq      INTEGER NOT NULL,
	n        INTEGER NOT NULL,
	epoch    INTEGER NOT NULL,
	type     TEXT    NOT NULL,
	key      TEXT    NOT NULL,
	subject  INTEGER NOT NULL,
	payload  BLOB,
	added    INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	control  INTEGER NOT NULL,
	resent   INTEGER NOT NULL,
	code     TEXT    NOT NULL,
	text     TEXT    NOT NULL,
	at       INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_order ON dead (stream, num);
CREATE INDEX dead_jti ON dead (stream, hash);

-- kind: 0 entry, 1 exclusion; names: member names of a complex entry
CREATE TABLE subjects (
	stream    INTEGER NOT NULL,
	hash      BLOB    NOT NULL, -- 16 bytes, of the canonical form
	kind      INTEGER NOT NULL,
	canonical TEXT    NOT NULL,
	names     TEXT,
	PRIMARY KEY (stream, hash, kind)
) STRICT, WITHOUT ROWID;

-- what an event is looked up by: see match.go
CREATE TABLE subject_keys (
	hash    BLOB    NOT NULL, -- 16 bytes
	stream  INTEGER NOT NULL,
	subject BLOB    NOT NULL, -- subjects.hash
	kind    INTEGER NOT NULL,
	PRIMARY KEY (hash, stream, subject, kind)
) STRICT, WITHOUT ROWID;

-- the distinct sets of member names of complex entries
CREATE TABLE name_sets (names TEXT PRIMARY KEY, entries INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE cursors (follower TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- purged queues and deleted streams whose rows are still to be erased
CREATE TABLE garbage_queues (queue INTEGER PRIMARY KEY) STRICT;
CREATE TABLE garbage_streams (stream INTEGER PRIMARY KEY) STRICT;
`

// owner is who brought the set in: it counts against that owner's bound for as
// long as the set is used.
const version2 = `
ALTER TABLE name_sets ADD COLUMN owner TEXT NOT NULL DEFAULT '';
`

// ref_seq and ref_n are the place of an item's event where that is not its own
// position (0: it is); high_ref is the highest such place put at high_seq.
const version3 = `
ALTER TABLE states ADD COLUMN high_ref_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE states ADD COLUMN high_ref_n   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items  ADD COLUMN ref_seq      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items  ADD COLUMN ref_n        INTEGER NOT NULL DEFAULT 0;
CREATE INDEX items_ref ON items (queue, ref_seq) WHERE ref_seq > 0;
ALTER TABLE dead   ADD COLUMN ref_seq      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead   ADD COLUMN ref_n        INTEGER NOT NULL DEFAULT 0;
`
