package sqlitelog

// migrations are the steps of the schema; a released one never changes.
func migrations() []string { return []string{schemaV1, schemaV2, schemaV3} }

// schemaV1. Times are Unix milliseconds. The body stands last, so that a look
// at the other columns does not read it.
const schemaV1 = `
CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE record (
	seq      INTEGER PRIMARY KEY, -- from 1, without gaps
	recorded INTEGER NOT NULL,    -- never falls
	kind     INTEGER NOT NULL,
	salt     BLOB,
	leaf     BLOB NOT NULL,
	key      BLOB,                -- of idempotency; NULL: none
	digest   BLOB,                -- of the content under the key
	body     BLOB                 -- canonical bytes
) STRICT;

-- Keys of idempotency, moved here from the records in sorted batches.
CREATE TABLE source_key (
	key    BLOB PRIMARY KEY,
	seq    INTEGER NOT NULL,
	digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- How far something has come.
CREATE TABLE place (
	name TEXT PRIMARY KEY,
	seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO place VALUES ('keys_moved', 0), ('keys_pruned', 0);
`

// schemaV2: entries beside events, and by which keys they are found. A key is
// hashed under a secret of the file.
const schemaV2 = `
CREATE TABLE entry_ref (
	kind INTEGER NOT NULL,
	ref  BLOB    NOT NULL, -- 16 bytes
	seq  INTEGER NOT NULL,
	PRIMARY KEY (kind, ref, seq)
) STRICT, WITHOUT ROWID;
`

// schemaV3: nodes of the tree over the leaves, at every eighth height; level 1
// has the roots of 256 leaves each. What a log lacks of them is made when it
// is opened.
const schemaV3 = `
CREATE TABLE tree_node (
	level INTEGER NOT NULL,
	n     INTEGER NOT NULL, -- from 0
	hash  BLOB    NOT NULL,
	PRIMARY KEY (level, n)
) STRICT, WITHOUT ROWID;
`
