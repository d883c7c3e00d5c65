package sqliteinbox

// migrations are the schema versions, in order. Released ones never change.
//
// seen is the replay guard, by digest of (iss, jti); arrival lists the same by
// time, so that forgetting costs what is forgotten. seq is the place of arrival:
// arrival's newest row is never deleted, so a number is never given twice.
func migrations() []string {
	return []string{`
CREATE TABLE seen (identity BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE arrival (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, identity BLOB NOT NULL) STRICT;
CREATE TABLE message (
	seq INTEGER PRIMARY KEY, feed TEXT NOT NULL, lane BLOB,
	issuer TEXT NOT NULL, jti TEXT NOT NULL, type TEXT NOT NULL, txn TEXT NOT NULL,
	received INTEGER NOT NULL, due INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
	token BLOB NOT NULL) STRICT;
CREATE TABLE dead (
	seq INTEGER PRIMARY KEY, feed TEXT NOT NULL,
	issuer TEXT NOT NULL, jti TEXT NOT NULL, type TEXT NOT NULL, txn TEXT NOT NULL,
	received INTEGER NOT NULL, attempts INTEGER NOT NULL,
	at INTEGER NOT NULL, reason TEXT NOT NULL, token BLOB NOT NULL) STRICT;
CREATE INDEX dead_feed ON dead (feed, seq);
CREATE INDEX dead_identity ON dead (issuer, jti);
CREATE TABLE dead_count (feed TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE state (
	feed TEXT NOT NULL, value TEXT NOT NULL, expires INTEGER NOT NULL,
	PRIMARY KEY (feed, value)) STRICT, WITHOUT ROWID;
`}
}
