package receiver

import (
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set"
)

// NewDelivery makes a delivery as a receiver with that Config.Skew does.
func NewDelivery(t *set.Token, skew time.Duration) Delivery {
	if skew == 0 {
		skew = DefaultSkew
	}
	return newDelivery(&inbox.Message{}, t, max(skew, 0))
}
