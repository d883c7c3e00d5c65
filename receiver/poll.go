package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// Defaults and bounds of [Poll].
const (
	DefaultMaxEvents    = 100
	DefaultPollInterval = 5 * time.Second
	DefaultPollTimeout  = 2 * time.Minute
	DefaultMaxBackoff   = 5 * time.Minute

	firstBackoff  = time.Second
	maxRetryAfter = time.Hour       // however long a transmitter asks us to wait
	quickAnswer   = time.Second     // an answer sooner than that was no long poll
	farewell      = 5 * time.Second // for the last acknowledgements when Run ends

	// keyDoubts is how often a SET of an unknown key is left unanswered before it is
	// refused: setErrs is final, and the key may be about to be published.
	keyDoubts = 3
	maxDoubts = 1000 // SETs whose doubts are remembered
)

// Poll says how a stream is polled (RFC 8936).
type Poll struct {
	// Endpoint is the delivery.endpoint_url of the stream, its query included. Required
	// unless EndpointLater says that SetPollEndpoint will tell it.
	Endpoint      string
	EndpointLater bool
	// Apart leaves polling to [Receiver.Poll]: Run does not poll.
	Apart bool
	// Token returns the access token, without a scheme, for each request; nil: none
	// is sent.
	Token func(ctx context.Context) (string, error)
	// Refused is told of a token that was answered 401, so that Token gives another
	// the next time; may be nil.
	Refused func(token string)
	// HTTP makes the requests; nil: a guarded client for public https addresses. Its
	// Timeout, if it has one, must be longer than the transmitter's long poll.
	HTTP *http.Client
	// MaxEvents is the most SETs of one answer; zero: DefaultMaxEvents.
	MaxEvents int
	// Immediate asks for answers at once every Interval instead of long polls.
	Immediate bool
	// Interval is the pause after an answer that came at once and had nothing new,
	// also from a transmitter that knows no long poll; zero: DefaultPollInterval.
	Interval time.Duration
	// Timeout bounds one request, the transmitter's waiting included; zero:
	// DefaultPollTimeout.
	Timeout time.Duration
	// MaxBackoff bounds the pause after failures, which begins at a second and
	// doubles; zero: DefaultMaxBackoff.
	MaxBackoff time.Duration
}

func (p *Poll) check() error {
	var wrong []error
	if u, err := url.Parse(p.Endpoint); (err != nil || u.Host == "") && (p.Endpoint != "" || !p.EndpointLater) {
		wrong = append(wrong, errors.New("receiver: Config.Poll.Endpoint is not a URL"))
	}
	if p.MaxEvents < 0 || p.MaxEvents > delivery.MaxSets {
		wrong = append(wrong, fmt.Errorf("receiver: Config.Poll.MaxEvents must be 0 to %d", delivery.MaxSets))
	}
	if p.Interval < 0 || p.Timeout < 0 || p.MaxBackoff < 0 {
		wrong = append(wrong, errors.New("receiver: times of Config.Poll must not be negative"))
	}
	return errors.Join(wrong...)
}

// poller is the loop of one Run. What it owes the transmitter (acks, refusals) it
// repeats until an answer shows that it arrived, so no lost answer loses anything.
type poller struct {
	*Receiver
	poll     Poll
	endpoint string
	acks     []string
	refusals map[string]delivery.Failure
	doubts   map[string]int // by jti
	backoff  *backoff.ExponentialBackOff
	idle     int // answers in a row that came at once with nothing new
}

func newPoller(r *Receiver, p Poll) *poller {
	orDefault(&p.MaxEvents, DefaultMaxEvents)
	orDefault(&p.Interval, DefaultPollInterval)
	orDefault(&p.Timeout, DefaultPollTimeout)
	orDefault(&p.MaxBackoff, DefaultMaxBackoff)
	if p.HTTP == nil {
		p.HTTP = guard.NewClient(guard.Policy{Timeout: p.Timeout})
	}
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = min(firstBackoff, p.MaxBackoff), p.MaxBackoff, 2
	return &poller{Receiver: r, poll: p, backoff: b, refusals: map[string]delivery.Failure{}, doubts: map[string]int{}}
}

func (p *poller) run(ctx context.Context) error {
	for ctx.Err() == nil {
		endpoint, changed := p.Receiver.endpoint.now()
		p.pollAt(ctx, endpoint, changed)
	}
	if len(p.acks)+len(p.refusals) > 0 {
		p.leave(ctx)
	}
	return nil
}

// pollAt polls endpoint until another is told or ctx ends. What is owed at the former
// one is let go: those SETs come again.
func (p *poller) pollAt(ctx context.Context, endpoint string, changed <-chan struct{}) {
	if endpoint == "" {
		select {
		case <-changed:
		case <-ctx.Done():
		}
		return
	}
	if endpoint != p.endpoint {
		p.endpoint, p.acks, p.refusals = endpoint, nil, map[string]delivery.Failure{}
		p.backoff.Reset()
	}
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-changed:
			cancel()
		case <-ctx.Done():
		}
	})
	for wait(ctx, p.turn(ctx)) {
	}
	cancel()
	watch.Wait()
}

// leave acknowledges once more what was kept, and asks for nothing (RFC 8936 §2.4.2).
func (p *poller) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	none := 0
	if _, err := p.ask(ctx, delivery.PollRequest{MaxEvents: &none, ReturnImmediately: true, Ack: p.acks, SetErrs: p.refusals}); err != nil {
		p.log.WarnContext(ctx, "last acknowledgements not sent; the SETs will come again", "err", err)
	}
}

// turn polls once and returns how long to pause.
func (p *poller) turn(ctx context.Context) time.Duration {
	began := time.Now()
	answer, err := p.ask(ctx, delivery.PollRequest{
		MaxEvents: &p.poll.MaxEvents, ReturnImmediately: p.poll.Immediate, Ack: p.acks, SetErrs: p.refusals,
	})
	if ctx.Err() == nil {
		p.cfg.Observer.Polled(err)
	}
	if err != nil {
		return p.failed(ctx, "ask", err)
	}
	p.acks, p.refusals = nil, map[string]delivery.Failure{}
	fresh, err := p.process(ctx, answer.Sets)
	if err != nil {
		return p.failed(ctx, "keep", err)
	}
	p.backoff.Reset()
	p.seen.polled(p.cfg.Now(), nil)
	return p.pause(fresh, time.Since(began))
}

// failed logs err and returns the pause before the next poll.
func (p *poller) failed(ctx context.Context, step string, err error) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	p.seen.polled(p.cfg.Now(), err)
	pause := p.backoff.NextBackOff()
	if status, ok := errors.AsType[*pollError](err); ok {
		pause = max(pause, status.retryAfter)
	}
	p.log.WarnContext(ctx, "poll failed", "step", step, "stream_id", p.StreamID(), "in", pause, "err", err)
	return pause
}

// pause keeps a transmitter that answers at once from being asked without end. What
// is owed after the first such answer is sent without a pause.
func (p *poller) pause(fresh int, took time.Duration) time.Duration {
	if fresh > 0 || took >= quickAnswer {
		p.idle = 0
		return 0
	}
	p.idle++
	if p.idle == 1 && len(p.acks)+len(p.refusals) > 0 {
		return 0
	}
	return p.poll.Interval
}

// process judges the SETs of an answer in its order, keeps the good ones durably in
// one append and notes what is owed for each. It returns how many were new; an error
// means that some have to be offered again.
func (p *poller) process(ctx context.Context, sets []delivery.PollSet) (fresh int, err error) {
	var messages []inbox.Message
	for _, s := range sets {
		var m inbox.Message
		m, err = p.judge(ctx, []byte(s.SET))
		if err == nil && m.ID != s.ID {
			err = &set.Error{Code: delivery.CodeInvalidRequest, Description: "the member's name is not the jti of its SET"}
		}
		if err == nil {
			messages = append(messages, m)
			continue
		}
		p.cfg.Observer.Arrived(ByPoll, false, err)
		if err = p.refuse(ctx, s.ID, err); err != nil {
			break // the same will hold for the rest; keep the order
		}
	}
	if len(messages) == 0 {
		return 0, err
	}
	p.cfg.Crash("receive.before-append")
	results, appendErr := p.inbox.Append(ctx, messages...)
	if appendErr != nil {
		return 0, appendErr
	}
	p.cfg.Crash("receive.after-append")
	for i, result := range results {
		m := &messages[i]
		p.arrived(ctx, m, result, ByPoll)
		p.cfg.Observer.Arrived(ByPoll, result.Duplicate, verdict(result))
		if refusal := verdict(result); refusal != nil {
			err = errors.Join(err, p.refuse(ctx, m.ID, refusal))
			continue
		}
		delete(p.doubts, m.ID)
		p.acks = append(p.acks, m.ID)
		if !result.Duplicate {
			fresh++
		}
	}
	return fresh, err
}

// refuse notes the refusal of a SET for setErrs; an error that is no verdict is
// returned. A SET of an unknown key is let pass until it has come keyDoubts times.
func (p *poller) refuse(ctx context.Context, id string, err error) error {
	refusal, ok := errors.AsType[*set.Error](err)
	if !ok {
		return err
	}
	if errors.Is(refusal, jose.ErrUnknownKey) {
		if len(p.doubts) >= maxDoubts {
			clear(p.doubts)
		}
		p.doubts[id]++
		if p.doubts[id] < keyDoubts {
			p.log.WarnContext(ctx, "SET of an unknown key left unanswered", "jti", id, "attempt", p.doubts[id], "err", refusal)
			return nil
		}
		delete(p.doubts, id)
	}
	p.seen.refused(p.cfg.Now(), refusal.Code)
	p.log.WarnContext(ctx, "SET refused", "jti", id, "err", refusal)
	p.refusals[id] = refusal.Failure()
	return nil
}
