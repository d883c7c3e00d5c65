package sqlitedb

import (
	"context"
	"errors"
	"fmt"
)

// migrate checks whose file it is and applies the scripts it lacks, each with
// its new version number in one transaction.
func migrate(ctx context.Context, c *conn, path string, cfg Config) error {
	have, err := identify(c, path, cfg)
	if err != nil {
		return err
	}
	for n := have; n < len(cfg.Migrations); n++ {
		if err := step(ctx, c, cfg.Migrations[n], n+1, cfg.ApplicationID); err != nil {
			return fmt.Errorf("sqlitedb: upgrade %s to schema version %d: %w", path, n+1, err)
		}
	}
	return nil
}

// identify returns the file's schema version, or the reason to refuse it.
func identify(c *conn, path string, cfg Config) (int, error) {
	var app, version, tables int64
	q := queries{conn: c}
	err := errors.Join(
		q.QueryRow("PRAGMA application_id").Scan(&app),
		q.QueryRow("PRAGMA user_version").Scan(&version),
		q.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables))
	if err != nil {
		return 0, fmt.Errorf("sqlitedb: open %s: %w", path, err)
	}
	fresh := app == 0 && version == 0 && tables == 0
	if want := cfg.ApplicationID; !fresh && want != 0 && uint32(app) != want {
		return 0, fmt.Errorf("%w: %s has application id %#x, want %#x", ErrForeign, path, uint32(app), want)
	}
	if version < 0 || int(version) > len(cfg.Migrations) {
		return 0, &SchemaError{Path: path, Have: int(version), Known: len(cfg.Migrations)}
	}
	return int(version), nil
}

// step applies one script.
func step(ctx context.Context, c *conn, script string, version int, app uint32) error {
	if err := c.script(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := c.script(ctx, script)
	if err == nil {
		err = c.script(ctx, fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", int32(app), version))
	}
	if err == nil {
		err = c.script(ctx, "COMMIT")
	}
	if err != nil {
		_ = c.script(context.Background(), "ROLLBACK") // fails if SQLite rolled back itself
	}
	return err
}
