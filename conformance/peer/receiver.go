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

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// Bounds and pauses of a [Receiver].
const (
	receiverTimeout  = 5 * time.Second
	receiverRefresh  = time.Second // between two fetches of the keys
	receiverPause    = 100 * time.Millisecond
	receiverLongPoll = 2 * time.Second
	maxSetBytes      = 64 << 10
	maxDocument      = 1 << 20
)

// ReceiverConfig says what a [Receiver] is. All but Break, Authorization and HTTP is
// required.
type ReceiverConfig struct {
	// Issuer is the transmitter's, Token the access token for its API; empty: one is got
	// at TokenURL.
	Issuer, Token                    string
	ClientID, ClientSecret, TokenURL string
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
	// Memory is what outlives a crash; nil: a new one.
	Memory *Memory
}

// Memory is what a receiver keeps. Its zero value is ready.
type Memory struct {
	mu     sync.Mutex
	stream streamAnswer
	states []string
	seen   map[string]int // SETs by jti, how often they were acted upon
}

// Acted returns how often a receiver acted upon the SET with this jti.
func (m *Memory) Acted(id string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen[id]
}

// Receiver is an SSF receiver in memory, of one stream. Safe for concurrent use.
type Receiver struct {
	cfg  ReceiverConfig
	done map[string]bool // the breaks in force
	*Memory

	meta     receiverMetadata // under mu, as what follows
	keys     map[string]webKey
	keysAt   time.Time
	resumed  time.Time
	delayed  map[string]bool // SETs that are acted upon later
	ended    bool
	owed     map[string]delivery.Failure // of a poll: refusals; an empty Err is an ack
	unknowns map[string]int              // how often a SET of an unknown key was polled
}

type receiverMetadata struct {
	Issuer        string
	JWKSURI       string   `json:"jwks_uri"`
	Configuration string   `json:"configuration_endpoint"`
	Status        string   `json:"status_endpoint"`
	Verification  string   `json:"verification_endpoint"`
	Add           string   `json:"add_subject_endpoint"`
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
	if cfg.Issuer == "" || cfg.Token == "" && cfg.TokenURL == "" || cfg.Audience == "" {
		return nil, errors.New("peer: ReceiverConfig lacks Issuer, Token or Audience")
	}
	if cfg.HTTP == nil {
		cfg.HTTP = guard.NewClient(guard.Policy{})
	}
	if cfg.Memory == nil {
		cfg.Memory = &Memory{}
	}
	if cfg.Memory.seen == nil {
		cfg.Memory.seen = map[string]int{}
	}
	r := &Receiver{
		cfg: cfg, Memory: cfg.Memory, done: map[string]bool{}, owed: map[string]delivery.Failure{}, unknowns: map[string]int{}, delayed: map[string]bool{},
	}
	if slices.Contains(cfg.Break, "INTEROP-2.1-02") {
		r.cfg.HTTP = trusting()
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

// Run makes the stream, asks for a verification and receives until ctx ends.
func (r *Receiver) Run(ctx context.Context) error {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ended = true
	}()
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
	if err == nil && r.polls() && r.breaks("INTEROP-2.4.1-01") {
		err = errors.New("no poll")
	}
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
	if err := r.authorize(ctx, meta); err != nil {
		return err
	}
	if err := r.makeStream(ctx, meta); err != nil {
		return err
	}
	r.mu.Lock()
	s := r.stream
	r.mu.Unlock()
	if r.breaks("INTEROP-2.4.2-01") {
		_, _ = r.call(ctx, http.MethodPost, meta.Add, object{"stream_id": s.ID, "subject": object{"format": "email", "email": "jo@example.com"}}, nil, true)
	}
	if r.breaks("SSF-8.1.2.1-02") {
		_, _ = r.call(ctx, http.MethodPost, meta.Status, object{"stream_id": s.ID, "status": "Enabled"}, nil, true)
	}
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
