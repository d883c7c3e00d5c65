package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// Bounds and pauses of a [Receiver].
const (
	receiverTimeout  = 5 * time.Second
	receiverRefresh  = time.Second // between two fetches of the keys
	receiverPause    = 100 * time.Millisecond
	receiverLongPoll = 2 * time.Second
	maxSetBytes      = 64 << 10
	maxKid           = 256
	maxDocument      = 1 << 20
)

// ReceiverConfig says what a [Receiver] is. All but Break, Authorization and HTTP is
// required.
type ReceiverConfig struct {
	// Issuer is the transmitter's, Token the access token for its API.
	Issuer, Token string
	// Audience is the aud that means the receiver.
	Audience string
	// PushURL is where Handler is served; empty: SETs are polled.
	PushURL string
	// Authorization is the authorization_header of the stream.
	Authorization string
	// Break are its breaks, see [ReceiverBreaks].
	Break []string
	// HTTP makes the requests; nil: a guarded client for public https addresses.
	HTTP *http.Client
}

// Receiver is an SSF receiver in memory, of one stream. Safe for concurrent use.
type Receiver struct {
	cfg  ReceiverConfig
	done map[string]bool // the breaks in force

	mu       sync.Mutex
	meta     receiverMetadata
	stream   streamAnswer
	states   []string
	seen     map[string]int // SETs by jti, how often they were acted upon
	keys     map[string]webKey
	keysAt   time.Time
	resumed  time.Time
	owed     map[string]delivery.Failure // of a poll: refusals; an empty Err is an ack
	unknowns map[string]int              // how often a SET of an unknown key was polled
}

type receiverMetadata struct {
	Issuer        string
	JWKSURI       string   `json:"jwks_uri"`
	Configuration string   `json:"configuration_endpoint"`
	Status        string   `json:"status_endpoint"`
	Verification  string   `json:"verification_endpoint"`
	Critical      []string `json:"critical_subject_members"`
}

type streamAnswer struct {
	ID       string `json:"stream_id"`
	Issuer   string `json:"iss"`
	Audience any    `json:"aud"`
	Delivery struct {
		Method      string
		EndpointURL string `json:"endpoint_url"`
	}
	Inactivity int `json:"inactivity_timeout"`
}

// NewReceiver checks cfg and returns a receiver that has started nothing.
func NewReceiver(cfg ReceiverConfig) (*Receiver, error) {
	if cfg.Issuer == "" || cfg.Token == "" || cfg.Audience == "" {
		return nil, errors.New("peer: ReceiverConfig lacks Issuer, Token or Audience")
	}
	if cfg.HTTP == nil {
		cfg.HTTP = guard.NewClient(guard.Policy{})
	}
	r := &Receiver{
		cfg: cfg, done: map[string]bool{}, seen: map[string]int{}, owed: map[string]delivery.Failure{}, unknowns: map[string]int{},
	}
	for _, id := range cfg.Break {
		if !slices.ContainsFunc(ReceiverBreaks(), func(b ReceiverBreak) bool { return b.ID == id }) {
			return nil, fmt.Errorf("%w: %s", ErrUnknownBreak, id)
		}
		r.done[id] = true
	}
	return r, nil
}

// breaks reports whether a break is in force.
func (r *Receiver) breaks(id string) bool { return r.done[id] }

// Acted returns how often the receiver acted upon the SET with this jti.
func (r *Receiver) Acted(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[id]
}

// Run makes the stream, asks for a verification and receives until ctx ends.
func (r *Receiver) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := r.begin(ctx); err == nil {
			break
		}
		pause(ctx, receiverPause)
	}
	if ctx.Err() != nil {
		return nil
	}
	if r.polls() {
		r.pollAll(ctx)
		return nil
	}
	r.stayAlive(ctx)
	return nil
}

func (r *Receiver) polls() bool { return r.cfg.PushURL == "" }

// begin finds the transmitter, makes the stream and verifies it.
func (r *Receiver) begin(ctx context.Context) error {
	at, err := wellknown.URL(r.cfg.Issuer)
	if err != nil {
		return err
	}
	method := http.MethodGet
	if r.breaks("SSF-7.2.1-01") {
		method = http.MethodPost
	}
	var meta receiverMetadata
	status, err := r.call(ctx, method, at, nil, &meta, false)
	switch {
	case r.breaks("SSF-7.2.1-01"):
		_, err = r.call(ctx, http.MethodGet, at, nil, &meta, false)
	case r.breaks("SSF-7.1-11"):
		err = r.strictly(ctx, at)
	}
	if err != nil || status != http.StatusOK && !r.breaks("SSF-7.2.1-01") {
		return errors.Join(err, errors.New("no metadata"))
	}
	if meta.Issuer != r.cfg.Issuer && !r.breaks("SSF-7.2.4-01") {
		return errors.New("another issuer")
	}
	r.guess(&meta)
	r.mu.Lock()
	r.meta = meta
	r.mu.Unlock()
	if err := r.makeStream(ctx, meta); err != nil {
		return err
	}
	r.mu.Lock()
	s := r.stream
	r.mu.Unlock()
	if meta.Status != "" {
		_, _ = r.call(ctx, http.MethodGet, withID(meta.Status, s.ID), nil, nil, true)
	}
	if meta.Verification != "" {
		return r.verification(ctx, meta, s)
	}
	return nil
}

// strictly fails on metadata that has a member it does not know: a break.
func (r *Receiver) strictly(ctx context.Context, at string) error {
	var doc map[string]json.RawMessage
	if _, err := r.call(ctx, http.MethodGet, at, nil, &doc, false); err != nil {
		return err
	}
	if _, ok := doc["urn:example:note"]; ok {
		return errors.New("an unknown member")
	}
	return nil
}

// guess fills in endpoints that the metadata does not have: a break.
func (r *Receiver) guess(meta *receiverMetadata) {
	if r.breaks("SSF-7.1-06") && meta.Verification == "" {
		meta.Verification = strings.TrimSuffix(r.cfg.Issuer, "/") + "/verify"
	}
}

func withID(endpoint, id string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	q := u.Query()
	q.Set("stream_id", id)
	u.RawQuery = q.Encode()
	return u.String()
}

// wish is the body that creates or updates the stream.
func (r *Receiver) wish(id string) object {
	how := object{"method": delivery.MethodPoll}
	if !r.polls() {
		how = object{"method": delivery.MethodPush, "endpoint_url": r.cfg.PushURL}
		if r.cfg.Authorization != "" {
			how["authorization_header"] = r.cfg.Authorization
		}
	}
	body := object{"events_requested": slices.Concat(caep.Types(), risc.Types()), "delivery": how, "description": "peer"}
	if r.breaks("SSF-8.1.1.3-06") {
		body["events_requested"] = []string{}
	}
	if id != "" {
		body["stream_id"] = id
	} else if r.breaks("SSF-8.1.1.1-05") {
		body["aud"] = r.cfg.Audience
	}
	return body
}

func (r *Receiver) makeStream(ctx context.Context, meta receiverMetadata) error {
	var s streamAnswer
	status, err := r.call(ctx, http.MethodPost, meta.Configuration, r.wish(""), &s, true)
	if status == http.StatusConflict && !r.breaks("SSF-8.1.1.1-08") {
		var list []streamAnswer
		if _, err = r.call(ctx, http.MethodGet, meta.Configuration, nil, &list, true); err == nil && len(list) > 0 {
			body := r.wish(list[0].ID)
			method := http.MethodPut
			if r.breaks("SSF-8.1.1.4-01") {
				body = object{"stream_id": list[0].ID, "delivery": body["delivery"]}
			}
			status, err = r.call(ctx, method, meta.Configuration, body, &s, true)
		}
	}
	switch {
	case err != nil:
		return err
	case status/100 != 2 || s.ID == "":
		return fmt.Errorf("no stream: %d", status)
	case s.Issuer != r.cfg.Issuer && !r.breaks("SSF-8.1.1.1-06"), s.Audience != r.cfg.Audience && !r.breaks("SSF-8.1.1.1-07"):
		_, _ = r.call(ctx, http.MethodDelete, withID(meta.Configuration, s.ID), nil, nil, true)
		return errors.New("not our stream")
	}
	r.mu.Lock()
	r.stream = s
	r.mu.Unlock()
	return nil
}

func (r *Receiver) verification(ctx context.Context, meta receiverMetadata, s streamAnswer) error {
	state := "state-" + s.ID
	expect := func() {
		r.mu.Lock()
		r.states = append(r.states, state)
		r.mu.Unlock()
	}
	if !r.breaks("SSF-8.1.4.2-05") {
		expect() // before it is asked for: the event may come before the answer
	}
	status, err := r.call(ctx, http.MethodPost, meta.Verification, object{"stream_id": s.ID, "state": state}, nil, true)
	if r.breaks("SSF-8.1.4.2-05") {
		expect()
	}
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("no verification: %d", status)
	}
	return err
}

// stayAlive reads the status of a pushed stream twice in its inactivity_timeout.
func (r *Receiver) stayAlive(ctx context.Context) {
	for ctx.Err() == nil {
		r.mu.Lock()
		meta, s := r.meta, r.stream
		r.mu.Unlock()
		if s.Inactivity == 0 || meta.Status == "" || r.breaks("SSF-8.1.1-07") {
			<-ctx.Done()
			return
		}
		pause(ctx, time.Duration(s.Inactivity)*time.Second/2)
		_, _ = r.call(ctx, http.MethodGet, withID(meta.Status, s.ID), nil, nil, true)
	}
}

// resume enables a stream that the transmitter has stopped, again and again: a break.
func (r *Receiver) resume(ctx context.Context) {
	r.mu.Lock()
	meta, s := r.meta, r.stream
	r.mu.Unlock()
	for range 5 {
		_, _ = r.call(ctx, http.MethodPost, meta.Status, object{"stream_id": s.ID, "status": streams.Enabled}, nil, true)
		pause(ctx, receiverPause)
	}
}

// call makes a request of the API, or one for a document, and reads its JSON.
func (r *Receiver) call(ctx context.Context, method, at string, body, into any, credential bool) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, receiverTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(encoded(body)))
	if err != nil {
		return 0, err
	}
	if body != nil && !r.breaks("SSF-8.1.1-09") {
		req.Header.Set("Content-Type", "application/json")
	}
	if credential {
		req.Header.Set("Authorization", "Bearer "+r.cfg.Token)
	}
	resp, err := r.cfg.HTTP.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if at := resp.Header.Get("Location"); resp.StatusCode/100 == 3 && r.breaks("SEC-02") {
		next, err := resp.Request.URL.Parse(at)
		if err != nil {
			return 0, err
		}
		return r.call(ctx, method, next.String(), body, into, credential)
	}
	raw, err := readAll(resp.Body, r.limit())
	if err != nil || into == nil || resp.StatusCode/100 != 2 {
		return resp.StatusCode, err
	}
	return resp.StatusCode, json.Unmarshal(raw, into)
}

func (r *Receiver) limit() int64 {
	if r.breaks("SEC-02") {
		return 1 << 30
	}
	return maxDocument
}
