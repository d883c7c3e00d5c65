package client

import (
	"context"
	"slices"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// methodFor returns the name under which the transmitter knows a delivery method: the
// former one if it supports that and not today's.
func (c *Client) methodFor(ctx context.Context, method string) (string, error) {
	if !c.cfg.LegacyDeliveryURI {
		return method, nil
	}
	metadata, err := c.Metadata(ctx)
	if err != nil {
		return "", err
	}
	former := delivery.FormerMethod(method)
	supported := metadata.DeliveryMethodsSupported
	if former != method && slices.Contains(supported, former) && !slices.Contains(supported, method) {
		return former, nil
	}
	return method, nil
}

// today puts today's name for a former delivery method into s.
func (c *Client) today(s *streams.Configuration) {
	if c.cfg.LegacyDeliveryURI {
		s.Delivery.Method = delivery.CurrentMethod(s.Delivery.Method)
	}
}
