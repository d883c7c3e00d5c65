package wellknown

// Cached returns the number of configurations that c keeps.
func Cached(c *Client) int {
	c.configurations.mu.Lock()
	defer c.configurations.mu.Unlock()
	return len(c.configurations.entries)
}
