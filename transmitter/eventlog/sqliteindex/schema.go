package sqliteindex

// migrations are the steps of the schema; a released one never changes.
func migrations() []string { return []string{schemaV1} }

// schemaV1. Times are Unix milliseconds; keys are terms (see term.go).
const schemaV1 = `
CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- How far the log is indexed, and the leaf that stands there: the index of
-- another log, or of another past of it, is told by that.
CREATE TABLE place (
	one  INTEGER PRIMARY KEY CHECK (one = 1),
	seq  INTEGER NOT NULL,
	leaf BLOB    NOT NULL
) STRICT;
INSERT INTO place VALUES (1, 0, x'');

CREATE TABLE event (
	seq   INTEGER PRIMARY KEY,
	at    INTEGER NOT NULL,
	score REAL,
	addr  BLOB,             -- 4 or 16 bytes
	noted INTEGER NOT NULL, -- 1: there are annotations
	keys  BLOB    NOT NULL  -- all its terms, 8 bytes each
) STRICT;
CREATE INDEX event_at ON event(at);

-- The events that have a term, in the order of their time. The type is most
-- often asked for besides, so it is told without a look at the event.
CREATE TABLE posting (
	key  INTEGER NOT NULL,
	at   INTEGER NOT NULL,
	seq  INTEGER NOT NULL,
	type INTEGER NOT NULL, -- 32 bits of the type's term
	PRIMARY KEY (key, at, seq)
) STRICT, WITHOUT ROWID;

-- The events that mention a subject, in the order of the log.
CREATE TABLE mention (
	key INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	PRIMARY KEY (key, seq)
) STRICT, WITHOUT ROWID;
`
