package sqlitestore

// Small returns cfg with hardly anything kept in memory, so that a few items
// go the ways that otherwise only thousands go.
func (c Config) Small() Config {
	c.window, c.page = 3, 2
	return c
}
