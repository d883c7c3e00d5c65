package auth

// applicationID marks admin.db ("TocA").
const applicationID = 0x546f6341

// migrations returns the schema of admin.db. The table signing_keys is the
// ring's in transmitter/keys, vault is transmitter/vault's, log_key, checkpoints and cosignatures are
// transmitter/checkpoint's: one file, one schema version, one owner of all.
func migrations() []string {
	return []string{`
CREATE TABLE applications (
  id             TEXT PRIMARY KEY,
  name           TEXT NOT NULL,
  subject_format TEXT NOT NULL,
  created_ms     INTEGER NOT NULL
) STRICT;

CREATE TABLE audiences (
  value       TEXT PRIMARY KEY,
  application TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
  place       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX audiences_of ON audiences (application, place);

CREATE TABLE clients (
  id           TEXT PRIMARY KEY,
  application  TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
  registration TEXT NOT NULL, -- random; tokens of an earlier client of this id lack it
  scopes       TEXT NOT NULL, -- separated by spaces
  source       TEXT,          -- JSON
  secret_hash  BLOB NOT NULL,
  static       INTEGER NOT NULL,
  static_hash  BLOB UNIQUE,   -- NULL: none, or revoked
  created_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX clients_of ON clients (application);

CREATE TABLE revoked_tokens (
  jti        TEXT PRIMARY KEY,
  expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revoked_tokens_expire ON revoked_tokens (expires_ms);

CREATE TABLE signing_keys (
  kid          TEXT PRIMARY KEY,
  algorithm    TEXT NOT NULL,
  private_jwk  BLOB NOT NULL,
  created_ms   INTEGER NOT NULL,
  last_used_ms INTEGER NOT NULL,
  current      INTEGER NOT NULL CHECK (current IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX signing_keys_current ON signing_keys (current) WHERE current = 1;
`, `
-- the environment that a client is bound to; empty: none
ALTER TABLE clients ADD COLUMN environment TEXT NOT NULL DEFAULT '';
`, vendorSources, webhooks, `
-- the secret that a source had before, and until when it is good
ALTER TABLE vendor_sources ADD COLUMN old_hash BLOB;
ALTER TABLE vendor_sources ADD COLUMN old_until_ms INTEGER NOT NULL DEFAULT 0;
`, checkpoints, `
ALTER TABLE applications ADD COLUMN profile TEXT NOT NULL DEFAULT '';
`, `
-- ids of applications that were removed: none is used again
CREATE TABLE removed_applications (
  id         TEXT PRIMARY KEY,
  removed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`, `
-- the secret with which the vendor signs what it sends, needed as it is; NULL: it does not
ALTER TABLE vendor_sources ADD COLUMN sign_secret TEXT;
`, clientKeys, `
-- what a client had before its secret and static token were replaced, and until when that is good
ALTER TABLE clients ADD COLUMN old_hash BLOB;
ALTER TABLE clients ADD COLUMN old_static_hash BLOB;
ALTER TABLE clients ADD COLUMN old_until_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN rotated_ms INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX clients_old_static ON clients (old_static_hash) WHERE old_static_hash IS NOT NULL;
`, `
-- the key that private keys and secrets are sealed under, sealed itself; none: they are in clear
CREATE TABLE vault (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  header BLOB NOT NULL
) STRICT;
`, `
-- the key that signs next: it is published before it does
ALTER TABLE signing_keys ADD COLUMN next INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (next) WHERE next = 1;
`, `
-- what the SETs of its streams are encrypted to: JSON with a public key; empty: nothing
ALTER TABLE applications ADD COLUMN encryption TEXT NOT NULL DEFAULT '';
`, `
-- which certificates are the client's, JSON; NULL: none, and secret_hash is empty if there are
ALTER TABLE clients ADD COLUMN certificate TEXT;
-- its tokens are bound to its certificate, however it authenticates
ALTER TABLE clients ADD COLUMN bound_tokens INTEGER NOT NULL DEFAULT 0;
`}
}

// clientKeys are what clients without a secret authenticate with.
const clientKeys = `
ALTER TABLE clients ADD COLUMN jwks TEXT; -- public keys; NULL: none, and secret_hash is empty if jwks_uri is not
ALTER TABLE clients ADD COLUMN jwks_uri TEXT NOT NULL DEFAULT '';

CREATE TABLE used_assertions (
  client     TEXT NOT NULL,
  assertion  BLOB NOT NULL, -- SHA-256
  expires_ms INTEGER NOT NULL,
  PRIMARY KEY (client, assertion)
) STRICT, WITHOUT ROWID;
CREATE INDEX used_assertions_expire ON used_assertions (expires_ms);
`

// vendorSources are the sources that vendors feed.
const vendorSources = `
CREATE TABLE vendor_sources (
  name         TEXT PRIMARY KEY,
  registration TEXT NOT NULL, -- random; tells a source from an earlier one of this name
  kind         TEXT NOT NULL,
  source       TEXT NOT NULL, -- JSON: what it may speak for
  environment  TEXT NOT NULL, -- of its events; empty: none
  auth         TEXT NOT NULL,
  user         TEXT NOT NULL,
  header       TEXT NOT NULL,
  secret_hash  BLOB,          -- NULL: its way to authenticate has no secret
  poll         TEXT,          -- JSON; NULL: it is not polled
  poll_secret  TEXT,          -- the vendor's, needed as it is
  place        TEXT,          -- JSON: how far it was polled; NULL: not yet
  created_ms   INTEGER NOT NULL
) STRICT;
`

// webhooks are the settings of webhooks; id is that of a stream in state.db.
const webhooks = `
CREATE TABLE webhooks (
  id          TEXT PRIMARY KEY,
  application TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
  revision    TEXT NOT NULL, -- another one after each change
  settings    TEXT NOT NULL, -- JSON; has secrets
  created_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX webhooks_of ON webhooks (application, created_ms, id);
`

// checkpoints are the key of the log's checkpoints, and the checkpoints.
const checkpoints = `
CREATE TABLE log_key (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  seed   BLOB NOT NULL,
  origin TEXT NOT NULL -- signed under last; empty: never
) STRICT;

CREATE TABLE checkpoints (
  size    INTEGER PRIMARY KEY,
  root    BLOB NOT NULL,
  made_ms INTEGER NOT NULL,
  kept    INTEGER NOT NULL, -- 0: for an hour
  text    TEXT NOT NULL
) STRICT;
CREATE INDEX checkpoints_made ON checkpoints (made_ms);
CREATE INDEX checkpoints_passing ON checkpoints (made_ms) WHERE kept = 0;

CREATE TABLE cosignatures (
  size     INTEGER NOT NULL REFERENCES checkpoints (size) ON DELETE CASCADE,
  witness  TEXT NOT NULL,
  key_hash INTEGER NOT NULL,
  line     TEXT NOT NULL,
  PRIMARY KEY (size, witness, key_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX cosignatures_of ON cosignatures (witness, size);
`
