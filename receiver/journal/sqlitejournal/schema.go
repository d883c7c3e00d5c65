package sqlitejournal

// migrations are the schema versions, in order. Released ones never change.
//
// seq is never given twice. total sums the entries and kept counts the rows of the other
// tables, so that neither is ever counted anew. Each index ends in seq, the order of
// pages.
func migrations() []string {
	return []string{`
CREATE TABLE entry (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	feed TEXT NOT NULL, issuer TEXT NOT NULL, jti TEXT NOT NULL, hook TEXT NOT NULL, effect TEXT NOT NULL,
	type TEXT NOT NULL, txn TEXT NOT NULL, scope TEXT NOT NULL, time INTEGER NOT NULL, rule TEXT NOT NULL,
	verdict TEXT NOT NULL, attempt INTEGER NOT NULL, ended INTEGER NOT NULL,
	detail TEXT NOT NULL, err TEXT NOT NULL, at INTEGER NOT NULL, took INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX entry_identity ON entry (jti, issuer, feed, hook, effect);
CREATE INDEX entry_txn ON entry (txn) WHERE txn != '';
CREATE INDEX entry_feed ON entry (feed);
CREATE INDEX entry_issuer ON entry (issuer);
CREATE INDEX entry_hook ON entry (hook);
CREATE INDEX entry_verdict ON entry (verdict);
CREATE INDEX entry_hook_verdict ON entry (hook, verdict);
CREATE TABLE total (
	rule TEXT NOT NULL, hook TEXT NOT NULL, effect TEXT NOT NULL, verdict TEXT NOT NULL,
	entries INTEGER NOT NULL, ended INTEGER NOT NULL, unknown INTEGER NOT NULL,
	PRIMARY KEY (rule, hook, effect, verdict)) STRICT, WITHOUT ROWID;
CREATE TABLE state (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, lane BLOB NOT NULL, hook TEXT NOT NULL,
	effect TEXT NOT NULL, time INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX state_identity ON state (lane, hook);
CREATE TABLE kept (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO kept VALUES ('entry', 0), ('state', 0);
`, `
CREATE TABLE denial (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, whom BLOB NOT NULL, hook TEXT NOT NULL,
	issuer TEXT NOT NULL, time INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX denial_identity ON denial (whom, hook, issuer);
INSERT INTO kept VALUES ('denial', 0);
`}
}
