package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/eventapi"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

const (
	// maxBatchBytes bounds the body of a batch; one event is always taken.
	maxBatchBytes = 1 << 20
	// maxWays bounds the webhooks whose settings are kept in memory.
	maxWays = 1024

	userAgent = "tocsin"
)

// ways keeps what is known of webhooks that are being delivered to. Safe for
// concurrent use.
type ways struct {
	mu   sync.Mutex
	byID map[string]*way // guarded by mu
}

func (w *ways) get(id, revision string) *way {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.byID[id]; known != nil && known.revision == revision {
		return known
	}
	return nil
}

func (w *ways) keep(id string, one *way) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byID == nil {
		w.byID = make(map[string]*way)
	}
	if len(w.byID) >= maxWays && w.byID[id] == nil {
		for other := range w.byID { // any: it is read again when it is needed
			delete(w.byID, other)
			break
		}
	}
	w.byID[id] = one
}

func (w *ways) drop(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byID, id)
}

// Way implements [push.Carrier].
func (s *Service) Way(ctx context.Context, st streams.Stream) (push.Way, error) {
	// A webhook's stream bears the revision of its settings in place of an
	// Authorization header.
	if known := s.ways.get(st.ID, st.Delivery.AuthorizationHeader); known != nil {
		return known, nil
	}
	row, err := s.cfg.Store.Webhook(ctx, st.ID)
	if errors.Is(err, auth.ErrNotFound) {
		return nil, streams.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	one, err := s.newWay(row)
	if err != nil {
		return nil, err
	}
	s.ways.keep(st.ID, one)
	return one, nil
}

// way leads to the receiver of a webhook.
type way struct {
	revision    string
	application string
	records     Records
	now         func() time.Time
	settings    Settings
	header      http.Header
	signers     []signer
	tokens      *tokens // nil: no OAuth2
}

func (s *Service) newWay(row auth.Webhook) (*way, error) {
	settings, err := decode(row)
	if err != nil {
		return nil, err
	}
	w := &way{
		revision: row.Revision, application: row.Application, records: s.cfg.Records, now: s.cfg.Now, settings: settings,
		header: http.Header{"Content-Type": {"application/json"}, "User-Agent": {userAgent}},
	}
	if settings.Format == FormatLines {
		w.header.Set("Content-Type", "application/x-ndjson")
	}
	for name, value := range settings.Headers {
		w.header.Set(name, value)
	}
	switch a := settings.Auth; a.Type {
	case AuthBasic:
		pair := base64.StdEncoding.EncodeToString([]byte(a.Username + ":" + a.Password))
		w.header.Set("Authorization", "Basic "+pair)
	case AuthBearer:
		w.header.Set("Authorization", "Bearer "+a.Token)
	case AuthOAuth2:
		w.tokens = newTokens(a, s.cfg.Client, s.cfg.Now)
	}
	for _, secret := range settings.Secrets {
		one, err := newSigner(secret)
		if err != nil {
			return nil, err
		}
		w.signers = append(w.signers, one)
	}
	return w, nil
}

// Batch implements [push.Way].
func (w *way) Batch() push.Batch {
	if w.settings.Format == FormatEvent {
		return push.Batch{}
	}
	return push.Batch{Most: w.settings.BatchEvents, Wait: time.Duration(w.settings.BatchSeconds) * time.Second}
}

// Pack implements [push.Way]: the events, as they are read through
// GET /v1/events/{id} now, signed for this attempt.
func (w *way) Pack(ctx context.Context, items []streams.Item) (push.Parcel, error) {
	var parcel push.Parcel
	var ids []string
	var docs [][]byte
	size := 0
	for i, item := range items {
		rec, err := w.records.Get(ctx, streams.EventOf(item.ID))
		if errors.Is(err, eventlog.ErrNotFound) || errors.Is(err, eventlog.ErrMalformedID) || err == nil && rec.Erased {
			parcel.Gone = append(parcel.Gone, i)
			if err == nil {
				parcel.Erased = append(parcel.Erased, i)
			}
			parcel.Origins = append(parcel.Origins, push.Origin{TransactionID: streams.EventOf(item.ID), Accepted: item.Added})
			continue
		}
		if err != nil {
			return push.Parcel{}, fmt.Errorf("webhook: reading the event: %w", err)
		}
		event, err := eventapi.Seen(ctx, w.records, rec, w.application)
		if err != nil {
			return push.Parcel{}, fmt.Errorf("webhook: reading what was said of the event: %w", err)
		}
		doc, err := json.Marshal(event)
		if err != nil {
			return push.Parcel{}, fmt.Errorf("webhook: writing the event: %w", err)
		}
		if size += len(doc); len(docs) > 0 && size > maxBatchBytes {
			break
		}
		ids, docs = append(ids, rec.ID), append(docs, doc)
		parcel.Origins = append(parcel.Origins, push.Origin{TransactionID: rec.ID, Accepted: rec.Recorded})
	}
	if len(docs) == 0 {
		return parcel, nil
	}
	var err error
	parcel.Header, parcel.Body, err = w.seal(ctx, messageID(w.settings.Format, ids), docs)
	return parcel, err
}

// messageID is the webhook-id of a request: the event's id where it bears one
// by itself, else a digest of the ids in it. So it is the same whenever the
// same is sent again.
func messageID(f Format, ids []string) string {
	if f == FormatEvent {
		return ids[0]
	}
	sum := sha256.Sum256([]byte(strings.Join(ids, "\n")))
	return "batch_" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// seal returns header and body of a request that bears docs: the body that is
// signed is the body that is sent.
func (w *way) seal(ctx context.Context, id string, docs [][]byte) (http.Header, string, error) {
	body := bodyOf(w.settings.Format, docs)
	h := w.header.Clone()
	if w.tokens != nil {
		value, err := w.tokens.header(ctx)
		if err != nil {
			return nil, "", err
		}
		h.Set("Authorization", value)
	}
	at := w.now()
	sign, err := signature(w.signers, id, at, body)
	if err != nil {
		return nil, "", err
	}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, sign)
	return h, body, nil
}

func bodyOf(f Format, docs [][]byte) string {
	var b strings.Builder
	for i, doc := range docs {
		switch {
		case f == FormatArray && i == 0:
			b.WriteByte('[')
		case f == FormatArray:
			b.WriteByte(',')
		}
		b.Write(doc)
		if f == FormatLines {
			b.WriteByte('\n')
		}
	}
	if f == FormatArray {
		b.WriteByte(']')
	}
	return b.String()
}

// Judge implements [push.Way]. As for a SET, 400, 413 and 415 refuse what was
// sent, and so does 422; 410 ends it all; anything else may pass.
func (w *way) Judge(status int, _ []byte) (j push.Judgement, code, text string) {
	switch {
	case status == http.StatusUnprocessableEntity:
		return push.SetAside, "", ""
	case status == http.StatusUnauthorized && w.tokens != nil:
		w.tokens.forget() // the next try has a new one
	}
	return push.Judge(status, delivery.Code("")), "", ""
}
