package keeper

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Mode is how a transmitter is known.
type Mode string

// The modes.
const (
	Discovered Mode = "discovered" // a stream is kept
	Static     Mode = "static"     // registered by other means: not verifiable
)

// Standing sums a [Health] up.
type Standing string

// The standings.
const (
	Starting Standing = "starting" // no stream yet, or not verified for the first time; nothing has failed
	OK       Standing = "ok"       // of a static registration: as far as can be told
	Failing  Standing = "failing"  // see Problems
)

// Health says how it stands with one transmitter. A time is zero, and absent in JSON, if
// it never was; times are RFC 3339 there. It holds no secret and no subject.
type Health struct {
	Issuer   string   `json:"issuer"`
	Mode     Mode     `json:"mode"`
	Standing Standing `json:"standing"`
	// Problems say what is wrong, for people.
	Problems []string `json:"problems,omitempty"`

	// Elsewhere says that another process keeps the stream, and polls; what is told of
	// them here is what that one saw.
	Elsewhere bool `json:"kept_elsewhere,omitempty"`

	Stream *StreamHealth `json:"stream,omitempty"` // nil: static
	// Verification says how the way from the transmitter to here is known to work.
	Verification VerificationHealth `json:"verification"`

	// Received is when the last SET came, Kept how many came, repeats apart.
	Received time.Time `json:"last_received,omitzero"`
	Kept     uint64    `json:"kept"`
	Repeats  uint64    `json:"repeats"`
	// Refused is when the last SET was refused, with which code, and how many were.
	Refused     time.Time     `json:"last_refused,omitzero"`
	RefusedCode delivery.Code `json:"last_refused_code,omitempty"`
	Refusals    uint64        `json:"refusals"`
	// Ignored counts events that were acknowledged and reached no hook, by reason:
	// event_type, subject_issuer.
	Ignored map[string]uint64 `json:"ignored,omitempty"`

	Poll  *PollHealth `json:"poll,omitempty"` // nil: not polled
	Keys  KeysHealth  `json:"keys"`
	Inbox InboxHealth `json:"inbox"`
}

// StreamHealth says how a stream is that is kept.
type StreamHealth struct {
	ID     string         `json:"stream_id,omitempty"`
	Method string         `json:"delivery_method"`
	Status streams.Status `json:"status,omitempty"` // empty: not known
	Reason string         `json:"reason,omitempty"` // of the status
	// DecidedByTransmitter: the status is not the one wanted and is left alone.
	DecidedByTransmitter bool `json:"decided_by_transmitter,omitempty"`
	// NotDelivered are event types that were asked for and are not delivered.
	NotDelivered []string `json:"not_delivered,omitempty"`
	// Checked is when the stream was last found or made as it shall be.
	Checked time.Time `json:"checked,omitzero"`
	// Error says why it could not be since.
	Error string `json:"error,omitempty"`
	// Repaired counts changes that were undone, Replaced streams that were made for
	// one that had vanished.
	Repaired uint64 `json:"repaired"`
	Replaced uint64 `json:"replaced"`
}

// VerificationHealth tells of verification events (SSF §8.1.4).
type VerificationHealth struct {
	// Note is "static, not verifiable" or "not offered by the transmitter"; else empty.
	Note     string    `json:"note,omitempty"`
	Asked    time.Time `json:"asked,omitzero"`
	Answered time.Time `json:"answered,omitzero"` // when the last event came, asked for or not
	Error    string    `json:"error,omitempty"`
}

// PollHealth tells of polls.
type PollHealth struct {
	Polled time.Time `json:"polled,omitzero"` // the last one that succeeded
	Error  string    `json:"error,omitempty"` // since then
}

// KeysHealth tells of the transmitter's keys.
type KeysHealth struct {
	Count   int       `json:"count"`
	Fetched time.Time `json:"fetched,omitzero"`
	Error   string    `json:"error,omitempty"` // of the last fetch; former keys may still serve
}

// InboxHealth tells what waits for hooks.
type InboxHealth struct {
	Waiting int       `json:"waiting"`
	Running int       `json:"running"`
	Failing int       `json:"failing"`
	Dead    int       `json:"dead"`
	Oldest  time.Time `json:"oldest,omitzero"`
	Error   string    `json:"error,omitempty"`
}

// observed is what the keeper itself has seen.
type observed struct {
	stream    StreamHealth
	minVerify time.Duration
	asked     time.Time
	unasked   bool      // verification is not offered
	unproven  string    // why the last verification failed
	answered  time.Time // when another process was told of the last verification
	critical  []string
	doubt     bool // what was told is to be told again
	ignored   map[string]uint64
}

// Health returns how it stands. It asks nobody but the inbox.
func (k *Keeper) Health(ctx context.Context) Health {
	h := Health{Issuer: k.cfg.Receiver.Issuer, Mode: Static}
	k.fillSeen(&h)
	k.fillReceived(&h)
	h.Inbox = k.inboxHealth(ctx)
	h.judge(k.cfg)
	return h
}

func (k *Keeper) fillSeen(h *Health) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h.Elsewhere = k.cfg.Shared != nil && k.takesTurns() && !k.turn.Load()
	for reason, n := range k.seen.ignored {
		if h.Ignored == nil {
			h.Ignored = make(map[string]uint64)
		}
		h.Ignored[reason] = n
	}
	if k.cfg.Stream == nil {
		h.Verification.Note = "static, not verifiable"
		return
	}
	h.Mode = Discovered
	stream := k.seen.stream
	stream.Method, stream.NotDelivered = k.cfg.Stream.Delivery.Method, slices.Clone(stream.NotDelivered)
	h.Stream = &stream
	h.Verification = VerificationHealth{Asked: utc(k.seen.asked), Answered: utc(k.seen.answered), Error: k.seen.unproven}
	if k.seen.unasked {
		h.Verification.Note = "not offered by the transmitter"
	}
}

func (k *Keeper) fillReceived(h *Health) {
	a := k.receiver.Activity()
	h.Received, h.Kept, h.Repeats = utc(a.Received), a.Kept, a.Repeats
	h.Refused, h.RefusedCode, h.Refusals = utc(a.Refused), a.Refusal, a.Refusals
	if a.Verified.Before(h.Verification.Answered) {
		a.Verified = h.Verification.Answered
	}
	h.Verification.Answered = utc(a.Verified)
	if a.Verified.After(h.Verification.Asked) {
		h.Verification.Error = "" // late, but it came
	}
	if k.cfg.Receiver.Poll != nil || k.cfg.Stream != nil && k.cfg.Stream.Delivery.Method == delivery.MethodPoll {
		h.Poll = &PollHealth{Polled: utc(a.Polled), Error: a.PollError}
	}
	if k.keys != nil {
		s := k.keys.State(h.Issuer)
		h.Keys = KeysHealth{Count: s.Count, Fetched: utc(s.Fetched), Error: text(s.Err)}
	}
}

func (k *Keeper) inboxHealth(ctx context.Context) InboxHealth {
	feed := k.cfg.Receiver.Feed
	if feed == "" {
		feed = k.cfg.Receiver.Issuer
	}
	c, err := k.cfg.Receiver.Inbox.Counts(ctx, feed)
	return InboxHealth{c.Waiting, c.Running, c.Failing, c.Dead, utc(c.Oldest), text(err)}
}

// judge sums up.
func (h *Health) judge(cfg Config) {
	problem := func(what, text string) {
		if text != "" {
			h.Problems = append(h.Problems, what+": "+text)
		}
	}
	if s := h.Stream; s != nil {
		problem("stream", s.Error)
		if want := cfg.Stream.Status; s.Status != "" && s.Status != want && !cfg.Stream.LeaveStatus {
			problem("status", string(s.Status)+", want "+string(want))
		}
	}
	problem("verification", h.Verification.Error)
	if h.Poll != nil {
		problem("poll", h.Poll.Error)
	}
	problem("keys", h.Keys.Error)
	problem("inbox", h.Inbox.Error)
	switch {
	case len(h.Problems) > 0:
		h.Standing = Failing
	case h.starting(cfg):
		h.Standing = Starting
	default:
		h.Standing = OK
	}
}

// starting reports whether the first proof that the stream works is still to come.
func (h *Health) starting(cfg Config) bool {
	if h.Stream == nil {
		return false
	}
	if h.Stream.Checked.IsZero() {
		return true
	}
	proof := cfg.VerifyInterval > 0 && h.Verification.Note == "" && h.Stream.Status != streams.Paused && h.Stream.Status != streams.Disabled
	return proof && h.Verification.Answered.IsZero()
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (k *Keeper) observe(fn func(*observed)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fn(&k.seen)
}

func (k *Keeper) noteLook(err error) {
	k.observe(func(o *observed) {
		if o.stream.Error = text(err); err == nil {
			o.stream.Checked = utc(k.now())
		}
	})
}

// noteStream reports whether the stream is another than before.
func (k *Keeper) noteStream(s streams.Configuration, former string) (other bool) {
	k.observe(func(o *observed) {
		other = o.stream.ID != s.StreamID
		if other && former != "" && former != s.StreamID {
			o.stream.Replaced++
		}
		o.stream.ID = s.StreamID
		o.minVerify = time.Duration(s.MinVerificationInterval) * time.Second
		o.stream.NotDelivered = nil
		for _, t := range k.cfg.wanted() {
			if !slices.Contains(s.EventsDelivered, t) {
				o.stream.NotDelivered = append(o.stream.NotDelivered, t)
			}
		}
	})
	return other
}

// noteStatus also asks for a verification of a stream that is enabled again.
func (k *Keeper) noteStatus(s client.Status, v *verdict) {
	k.observe(func(o *observed) {
		if former := o.stream.Status; former != "" && former != streams.Enabled && s.Status == streams.Enabled {
			signal(k.verifyNow)
		}
		o.stream.Status, o.stream.Reason, o.stream.DecidedByTransmitter = s.Status, s.Reason, v != nil
		if v != nil && s.Reason == "" {
			o.stream.Reason = v.Reason
		}
	})
}

func (k *Keeper) noteRepair() { k.observe(func(o *observed) { o.stream.Repaired++ }) }

func (k *Keeper) noteIgnored(reason string) {
	k.observe(func(o *observed) {
		if o.ignored == nil {
			o.ignored = make(map[string]uint64)
		}
		o.ignored[reason]++
	})
}

func (k *Keeper) noteAnswered() {
	if k.cfg.Shared != nil {
		k.observe(func(o *observed) { o.answered = k.now() })
	}
}

// asked returns when a verification was last asked for, and answered.
func (k *Keeper) asked() (asked, answered time.Time) {
	k.observe(func(o *observed) { asked, answered = o.asked, o.answered })
	return asked, answered
}

// noteCritical keeps the transmitter's critical_subject_members.
func (k *Keeper) noteCritical(names []string) {
	k.receiver.SetCriticalMembers(names)
	k.observe(func(o *observed) { o.critical = names })
}

func (k *Keeper) noteAsked() { k.observe(func(o *observed) { o.asked = k.now() }) }

func (k *Keeper) noteDoubt() { k.observe(func(o *observed) { o.doubt = true }) }

func (k *Keeper) takeDoubt() (doubt bool) {
	k.observe(func(o *observed) { doubt, o.doubt = o.doubt, false })
	return doubt
}

func (k *Keeper) noteVerification(unoffered bool, err error) {
	k.observe(func(o *observed) { o.unasked, o.unproven = unoffered, text(err) })
}

func (k *Keeper) status() (s streams.Status) {
	k.observe(func(o *observed) { s = o.stream.Status })
	return s
}

func (k *Keeper) minVerification() (d time.Duration) {
	k.observe(func(o *observed) { d = o.minVerify })
	return d
}
