package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// pushCall pushes SETs that were minted, each once; a 503 is repeated. The answer is
// how many were answered 202 in a second.
type pushCall struct {
	URL     string `json:"url"`
	SETs    int    `json:"sets"`
	Senders int    `json:"senders"`
}

// retryTime is how long a sender waits that was answered 503.
const retryTime = 50 * time.Millisecond

func (l *load) mint(ctx context.Context, c mintCall) (string, error) {
	if l.transmitter == nil {
		var err error
		if l.transmitter, err = newTransmitter(ctx, c.Algorithm); err != nil {
			return "", err
		}
	}
	return l.transmitter.issuer, l.transmitter.mint(c.SETs)
}

func (l *load) push(ctx context.Context, c pushCall) (float64, error) {
	sets, err := l.transmitter.take(c.SETs)
	if err != nil {
		return 0, err
	}
	work := make(chan []byte)
	group, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for range c.Senders {
		group.Go(func() error {
			for compact := range work {
				if err := l.pushOne(ctx, c.URL, compact); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(work)
		for _, compact := range sets {
			select {
			case work <- compact:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	err = group.Wait()
	return float64(c.SETs) / time.Since(start).Seconds(), err
}

// pushOne pushes one SET until it is taken.
func (l *load) pushOne(ctx context.Context, url string, compact []byte) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(compact))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", delivery.MediaType)
		resp, err := l.client.Do(req)
		if err != nil {
			return err
		}
		said, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		switch resp.StatusCode {
		case http.StatusAccepted:
			return nil
		case http.StatusServiceUnavailable:
			if err := pause(ctx, retryTime); err != nil {
				return err
			}
		default:
			return fmt.Errorf("pushing: %d %.300s", resp.StatusCode, said)
		}
	}
}
