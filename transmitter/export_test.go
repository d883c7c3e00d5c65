package transmitter

import "context"

// Upkeep does once what Run does every 15 seconds.
func (t *Transmitter) Upkeep(ctx context.Context) { t.upkeep(ctx) }
