package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
)

const (
	// maxAnswerBytes bounds what is read of a receiver's answer.
	maxAnswerBytes = 16 << 10
	// maxReason bounds what is kept of its text.
	maxReason = 1 << 10
)

// result is what became of one item of a window.
type result struct {
	item       streams.Item
	judgement  Judgement
	code       string // RFC 8935 err, "http_<status>", "network", "blocked", "gone", "signing"
	text       string
	retryAfter time.Duration
	tried      bool // a request was made
}

// header are the fields of every push of a stream (PUSH-2.1-01, SSF-6.1.1-02).
func header(d streams.Delivery) http.Header {
	h := http.Header{
		"Content-Type": {delivery.MediaType},
		"Accept":       {"application/json"},
		"User-Agent":   {"tocsin"},
	}
	if d.AuthorizationHeader != "" {
		h["Authorization"] = []string{d.AuthorizationHeader}
	}
	return h
}

// deliver signs and posts one item.
func (p *Pusher) deliver(ctx context.Context, to target, item streams.Item) result {
	cfg := &p.cfg
	signed, err := cfg.Outbox.Sign(ctx, to.stream, item)
	if errors.Is(err, outbox.ErrGone) {
		return result{item: item, judgement: SetAside, code: "gone", text: "no SET can be made of this event any more"}
	}
	if err != nil && ctx.Err() != nil { // our own end, no failure of the receiver's
		return result{item: item, judgement: BackOff, code: released}
	}
	if err != nil {
		return result{item: item, judgement: BackOff, code: "signing", text: err.Error()}
	}
	if !p.mayLeave(ctx, to.stream, item) {
		return result{item: item, judgement: BackOff, code: changed}
	}
	cfg.Crash(CrashBeforePost)
	start := cfg.Now()
	r := p.post(ctx, to, item, signed)
	took := cfg.Now().Sub(start)
	cfg.Crash(CrashAfterPost)
	attempt := Attempt{Stream: to.stream.ID, EventType: item.Type, Verdict: r.judgement.String(), Took: took}
	if r.judgement == Accepted {
		attempt.SinceAccepted = start.Add(took).Sub(signed.Accepted)
	} else {
		cfg.Outbox.Keep(item, signed)
	}
	cfg.Observe(attempt)
	p.log(ctx, r, signed.TransactionID, took)
	if r.judgement != Accepted && p.moved(ctx, to.stream, item) {
		// The verdict is on an endpoint that the stream has left.
		return result{item: item, judgement: BackOff, code: changed}
	}
	return r
}

// moved reports whether the stream is sent elsewhere by now, or began anew.
func (p *Pusher) moved(ctx context.Context, taken streams.Stream, item streams.Item) bool {
	now, err := p.cfg.Store.Stream(context.WithoutCancel(ctx), taken.ID)
	return err == nil && (now.Delivery != taken.Delivery || item.Lane == streams.LaneEvents && item.Epoch != now.Epoch)
}

// mayLeave looks once more, right before the request: of a window that was
// taken before the stream was paused, disabled, deleted (SSF-8.1.2.1-04,
// SSF-8.1.1.5-02) or sent elsewhere, the rest stays here.
func (p *Pusher) mayLeave(ctx context.Context, taken streams.Stream, item streams.Item) bool {
	now, err := p.cfg.Store.Stream(context.WithoutCancel(ctx), taken.ID)
	if err != nil || now.Delivery != taken.Delivery || item.Lane == streams.LaneEvents && item.Epoch != now.Epoch {
		return false
	}
	return now.Status == streams.Enabled || item.Type == streams.TypeStreamUpdated
}

// post makes one request and judges its answer. A second answer to the same
// question is never asked for: no redirect is followed.
func (p *Pusher) post(ctx context.Context, to target, item streams.Item, signed outbox.SET) result {
	cfg := &p.cfg
	r := result{item: item, tried: true}
	// A request that has begun is let end, also while the process stops.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.stream.Delivery.EndpointURL, strings.NewReader(signed.Compact))
	if err != nil {
		r.judgement, r.code, r.text = PauseStream, "endpoint", "the endpoint_url cannot be used"
		return r
	}
	req.Header = to.header
	resp, err := cfg.Client.Do(req)
	if err != nil {
		return p.networkFailure(r, err)
	}
	defer resp.Body.Close() // the answer has been judged; closing cannot change it
	if resp.StatusCode/100 == 2 {
		if resp.ContentLength > 0 && resp.ContentLength <= maxAnswerBytes {
			// A short body is read, so that the connection can be used again.
			_, _ = io.CopyN(io.Discard, resp.Body, resp.ContentLength)
		}
		r.judgement = Accepted
		return r
	}
	var refusal delivery.Failure
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if resp.StatusCode == http.StatusBadRequest {
		refusal, _ = delivery.ParseFailure(body)
	}
	r.judgement = Judge(resp.StatusCode, refusal.Err)
	r.code, r.text = string(refusal.Err), truncate(refusal.Description)
	if r.code == "" {
		r.code, r.text = fmt.Sprintf("http_%d", resp.StatusCode), truncate("the receiver answered "+resp.Status)
	}
	r.retryAfter = retryAfter(resp.Header, cfg.Now())
	return r
}

func (p *Pusher) networkFailure(r result, err error) result {
	if p.cfg.Blocked(err) {
		r.judgement, r.code, r.text = PauseStream, "blocked", "the endpoint_url leads to an address that is not allowed"
		return r
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // its URL may have a secret in its query
	}
	r.judgement, r.code, r.text = BackOff, "network", truncate(err.Error())
	return r
}

func truncate(s string) string {
	if len(s) > maxReason {
		s = s[:maxReason]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// log tells of an attempt: quietly of a success, aloud of a failure.
func (p *Pusher) log(ctx context.Context, r result, txn string, took time.Duration) {
	level := slog.LevelDebug
	if r.judgement != Accepted {
		level = slog.LevelWarn
	}
	if !p.cfg.Logger.Enabled(ctx, level) {
		return
	}
	p.cfg.Logger.Log(ctx, level, "pushed a SET",
		"stream_id", r.item.Stream, "jti", r.item.ID, "txn", txn, "event_type", r.item.Type,
		"attempt", r.item.Attempts+1, "verdict", r.judgement.String(), "code", r.code, "took", took)
}
