package transmitter

import (
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// clientKeys are the keys that clients publish, by the URLs of their sets.
func (t *Transmitter) clientKeys() *wellknown.RemoteKeys {
	return wellknown.NewClient(wellknown.Config{HTTP: guard.NewClient(t.cfg.Tokens)}).KeySets()
}

// checkKeysURL judges where a client publishes its keys by its text; the address behind
// it is judged at each connection (SEC-01).
func (t *Transmitter) checkKeysURL(raw string) error {
	_, err := guard.CheckURL(raw, t.cfg.Tokens)
	return err
}
