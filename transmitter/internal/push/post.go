package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
	"github.com/tocsin-ssf/tocsin/streams"
)

const (
	// maxAnswerBytes bounds what is read of a receiver's answer.
	maxAnswerBytes = 16 << 10
	// maxReason bounds what is kept of its text.
	maxReason = 1 << 10
	// userAgent names us to receivers.
	userAgent = "tocsin"
)

// result is what became of one item of a window.
type result struct {
	item streams.Item
	Finding
}

// deliver packs items and makes the one request that bears them. What it finds
// holds for each item that the parcel has, but for those that are gone.
func (r *run) deliver(ctx context.Context, to target, items []streams.Item) (Finding, Parcel) {
	cfg := &r.cfg
	began := cfg.Now()
	parcel, err := to.way.Pack(ctx, items)
	if err != nil {
		return packFailure(ctx, err), Parcel{}
	}
	if len(parcel.Gone) == len(parcel.Origins) {
		return parcel.left(0), parcel
	}
	if !r.mayLeave(ctx, to.stream, items) {
		return Finding{Judgement: BackOff, Code: changed}, Parcel{}
	}
	cfg.Crash(CrashBeforePost)
	start := cfg.Now()
	posting, ended := r.trace(ctx, to.stream, items, parcel, began, start)
	f := r.post(posting, to, parcel)
	took := cfg.Now().Sub(start)
	ended(f)
	cfg.Crash(CrashAfterPost)
	if f.Judgement != Accepted && parcel.Failed != nil {
		parcel.Failed()
	}
	r.observe(ctx, to.stream, items, parcel, f, start, took)
	if f.Judgement != Accepted && r.moved(ctx, to.stream, items) {
		// The verdict is on an endpoint that the stream has left, or on a form.
		return Finding{Judgement: BackOff, Code: changed}, Parcel{}
	}
	return f, parcel
}

// packFailure returns what it means that no request could be made.
func packFailure(ctx context.Context, err error) Finding {
	if said, ok := errors.AsType[*PackError](err); ok {
		return said.Finding
	}
	if ctx.Err() != nil { // our own end, no failure of the receiver's
		return Finding{Judgement: BackOff, Code: released}
	}
	return Finding{Judgement: BackOff, Code: "signing", Text: err.Error()}
}

// observe tells metrics and log of each item.
func (p *Pusher) observe(ctx context.Context, s streams.Stream, items []streams.Item, parcel Parcel, f Finding, start time.Time, took time.Duration) {
	level := slog.LevelDebug
	if f.Judgement != Accepted {
		level = slog.LevelWarn
	}
	logged := p.cfg.Logger.Enabled(ctx, level)
	for i, origin := range parcel.Origins {
		if slices.Contains(parcel.Gone, i) {
			continue
		}
		attempt := Attempt{
			Stream: s.ID, EventType: items[i].Type, ID: items[i].ID, Number: items[i].Attempts + 1, At: start, Code: f.Code, Text: f.Text,
			Method: s.Delivery.Method, Verdict: f.Judgement.String(), Took: took,
		}
		if f.Judgement == Accepted {
			attempt.SinceAccepted = start.Add(took).Sub(origin.Accepted)
		}
		p.cfg.Observe(attempt)
		if logged {
			p.log(ctx, level, s.Delivery.Method, items[i], origin, f, took)
		}
		// What failed together is told once.
		logged = logged && f.Judgement == Accepted
	}
}

func (p *Pusher) log(ctx context.Context, level slog.Level, method string, item streams.Item, from Origin, f Finding, took time.Duration) {
	p.cfg.Logger.Log(ctx, level, "pushed",
		"method", method, "stream_id", item.Stream, "jti", item.ID, "txn", from.TransactionID, "event_type", item.Type,
		"attempt", item.Attempts+1, "verdict", f.Judgement.String(), "code", f.Code, "took", took)
}

// moved reports whether the stream is sent elsewhere by now, in another form, or
// began anew.
func (r *run) moved(ctx context.Context, taken streams.Stream, items []streams.Item) bool {
	now, err := r.store.Stream(context.WithoutCancel(ctx), taken.ID)
	return err == nil && differs(now, taken, items)
}

// differs reports whether items of a stream, as it was when they were taken,
// belong elsewhere now, or are to leave in another form.
func differs(now, taken streams.Stream, items []streams.Item) bool {
	return now.Delivery != taken.Delivery || now.Profile != taken.Profile || now.Encryption != taken.Encryption || slices.ContainsFunc(items, func(item streams.Item) bool {
		return item.Lane == streams.LaneEvents && item.Epoch != now.Epoch
	})
}

// mayLeave looks once more, right before the request: of a window that was
// taken before the stream was paused, disabled, deleted (SSF-8.1.2.1-04,
// SSF-8.1.1.5-02) or sent elsewhere, the rest stays here.
func (r *run) mayLeave(ctx context.Context, taken streams.Stream, items []streams.Item) bool {
	now, err := r.store.Stream(context.WithoutCancel(ctx), taken.ID)
	if err != nil || differs(now, taken, items) {
		return false
	}
	return now.Status == streams.Enabled || items[0].Type == streams.TypeStreamUpdated
}

// post makes one request and judges its answer. A second answer to the same
// question is never asked for: no redirect is followed.
func (p *Pusher) post(ctx context.Context, to target, parcel Parcel) Finding {
	cfg := &p.cfg
	// A request that has begun is let end, also while the process stops.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.stream.Delivery.EndpointURL, strings.NewReader(parcel.Body))
	if err != nil {
		return Finding{Judgement: PauseStream, Code: "endpoint", Text: "the endpoint_url cannot be used", Tried: true}
	}
	req.Header = parcel.Header
	if cfg.Tracer.On() {
		req.Header = parcel.Header.Clone()
		tracing.Inject(ctx, req.Header)
	}
	resp, err := cfg.Client.Do(req)
	if err != nil {
		return p.networkFailure(err)
	}
	defer resp.Body.Close() // the answer has been judged; closing cannot change it
	if resp.StatusCode/100 == 2 {
		if resp.ContentLength > 0 && resp.ContentLength <= maxAnswerBytes {
			// A short body is read, so that the connection can be used again.
			_, _ = io.CopyN(io.Discard, resp.Body, resp.ContentLength)
		}
		return Finding{Judgement: Accepted, Tried: true}
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	f := Finding{Tried: true, RetryAfter: retryAfter(resp.Header, cfg.Now())}
	f.Judgement, f.Code, f.Text = to.way.Judge(resp.StatusCode, body)
	if f.Code == "" {
		f.Code, f.Text = fmt.Sprintf("http_%d", resp.StatusCode), "the receiver answered "+resp.Status
	}
	f.Text = truncate(f.Text)
	return f
}

func (p *Pusher) networkFailure(err error) Finding {
	if p.cfg.Blocked(err) {
		return Finding{Judgement: PauseStream, Code: "blocked", Text: "the endpoint_url leads to an address that is not allowed", Tried: true}
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // its URL may have a secret in its query
	}
	return Finding{Judgement: BackOff, Code: "network", Text: truncate(err.Error()), Tried: true}
}
