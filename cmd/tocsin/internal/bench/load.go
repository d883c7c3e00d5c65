package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// senders is how many connections the events of a workload come in on.
const senders = 8

// Event types of the workloads.
const (
	typeWanted = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	typeOther  = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
)

// sendCall asks a load process to send events, one per request.
type sendCall struct {
	URL     string        `json:"url"` // of POST /v1/events
	Token   string        `json:"token"`
	Events  int           `json:"events"`
	Senders int           `json:"senders"`
	Gap     time.Duration `json:"gap,omitempty"`  // pause before each event of a sender
	Pool    int           `json:"pool,omitempty"` // subjects to go round; 0: each event has its own
	Batch   int           `json:"batch,omitempty"`
	Type    string        `json:"type"`
}

// sendAnswer says how long the requests took.
type sendAnswer struct {
	P50 float64 `json:"p50"` // µs
	P99 float64 `json:"p99"`
}

// load sends events.
type load struct {
	client *http.Client
	prefix string // of source ids
	sent   atomic.Int64

	transmitter *transmitter // of SETs that are pushed directly; nil: none was minted
}

func newLoad() *load { return &load{client: newHTTPClient(), prefix: rand.Text()[:8] + "-"} }

func (l *load) role() role {
	return role{
		"send":    with(func(ctx context.Context, c sendCall) (any, error) { return l.send(ctx, c) }),
		"mint":    with(func(ctx context.Context, c mintCall) (any, error) { return l.mint(ctx, c) }),
		"push":    with(func(ctx context.Context, c pushCall) (any, error) { return l.push(ctx, c) }),
		"tls":     with(func(ctx context.Context, c tlsServer) (any, error) { return l.tls(ctx, c) }),
		"fetches": with(func(context.Context, any) (any, error) { return l.transmitter.fetches.Load(), nil }),
	}
}

func (l *load) send(ctx context.Context, c sendCall) (sendAnswer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.Batch = max(c.Batch, 1)
	took := make([][]float64, c.Senders)
	var left atomic.Int64
	left.Store(int64(c.Events))
	var wg sync.WaitGroup
	for i := range c.Senders {
		wg.Go(func() {
			for left.Add(-int64(c.Batch)) >= 0 && ctx.Err() == nil {
				d, err := l.one(ctx, c)
				if err != nil {
					cancel(err)
					return
				}
				took[i] = append(took[i], micros(d))
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return sendAnswer{}, context.Cause(ctx)
	}
	var all []float64
	for _, t := range took {
		all = append(all, t...)
	}
	return sendAnswer{P50: percentile(all, 50), P99: percentile(all, 99)}, nil
}

// one sends one request and returns how long its answer took.
func (l *load) one(ctx context.Context, c sendCall) (time.Duration, error) {
	if c.Gap > 0 {
		if err := pause(ctx, c.Gap); err != nil {
			return 0, err
		}
	}
	body := l.body(c)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", "application/json")
	start := time.Now()
	resp, err := l.client.Do(req)
	if err != nil {
		return 0, err
	}
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	took := time.Since(start)
	_ = resp.Body.Close()
	if err == nil && resp.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("POST /v1/events: %d %.300s", resp.StatusCode, said)
	}
	return took, err
}

// maxAnswer bounds what a server's answer is read of.
const maxAnswer = 16 << 20

func (l *load) body(c sendCall) []byte {
	if c.Batch == 1 {
		return l.event(nil, c)
	}
	out := []byte{'['}
	for i := range c.Batch {
		if i > 0 {
			out = append(out, ',')
		}
		out = l.event(out, c)
	}
	return append(out, ']')
}

// event appends the JSON of the next event. A subject of its own bears the
// time of sending, for whoever measures how long the event was under way.
func (l *load) event(out []byte, c sendCall) []byte {
	n := l.sent.Add(1)
	out = append(out, `{"source_id":"`...)
	out = append(out, l.prefix...)
	out = strconv.AppendInt(out, n, 10)
	out = append(out, `","type":"`...)
	out = append(out, c.Type...)
	out = append(out, `","subject":{"format":"email","email":"`...)
	if c.Pool > 0 {
		out = append(out, pooled(int(n)%c.Pool)...)
	} else {
		out = append(out, 'n')
		out = strconv.AppendInt(out, n, 10)
		out = append(out, '-')
		out = strconv.AppendInt(out, time.Now().UnixNano(), 10)
		out = append(out, subjectHost...)
	}
	out = append(out, `"},"data":{"initiating_entity":"policy","reason_admin":{"en":"Landspeed policy violation: the session was ended"},`...)
	if c.Type == typeOther {
		out = append(out, `"credential_type":"password","change_type":"update",`...)
	}
	return append(out, `"reason_user":{"en":"Your session was ended. Please sign in again."}}}`...)
}

const subjectHost = "@bench.example"

// pooled is the email of subject i of a pool.
func pooled(i int) string { return "pool" + strconv.Itoa(i) + subjectHost }
