package way_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/fanout"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/way"
)

// one is a log of one event.
type one struct{}

func (one) Get(context.Context, string) (*eventlog.Record, error) {
	return &eventlog.Record{Seq: 1, ID: "id", Kind: eventlog.KindEvent}, nil
}
func (one) Head(context.Context) (uint64, error) { return 1, nil }

// slow is a store whose queues take for ever to look through.
type slow struct{ streams.Store }

func (slow) Pointing(ctx context.Context, _ []uint64, _ int) (queued, dead []streams.Item, err error) {
	<-ctx.Done()
	return nil, nil, ctx.Err()
}

// A look at queues that takes too long ends, and says so.
func TestWayEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := way.Handler{Log: one{}, Streams: slow{}, Trace: func(context.Context, *eventlog.Record, string, int) ([]fanout.Way, bool, error) {
			return nil, false, nil
		}}
		c := echo.New().NewContext(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody), httptest.NewRecorder())
		err := h.Way(c)
		var said *request.Error
		if !errors.As(err, &said) || said.Status != http.StatusGatewayTimeout {
			t.Errorf("got %v, want 504", err)
		}
	})
}
