package source

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

const (
	fingerprintEvents = "/events"
	// fingerprintLimit is the most records of a page.
	fingerprintLimit = 100
)

// Fingerprint is Fingerprint's Server API, version 4, at a region's address
// with its version: https://api.fpjs.io/v4.
type Fingerprint struct {
	api
	key string
}

// NewFingerprint returns the API at of.URL with the secret key of.Secret.
func NewFingerprint(of *auth.VendorAPI, client *http.Client) *Fingerprint {
	return &Fingerprint{api: newAPI(of, client, fingerprintError), key: of.Secret}
}

// Limit is 100.
func (*Fingerprint) Limit() int { return fingerprintLimit }

// Events returns a page of GET /events, oldest first.
func (f *Fingerprint) Events(ctx context.Context, q Query) (Page, error) {
	query := url.Values{
		"start":   {strconv.FormatInt(q.Since.UnixMilli(), 10)},
		"limit":   {strconv.Itoa(q.Limit)},
		"reverse": {"true"},
	}
	if q.Cursor != "" {
		query.Set("pagination_key", q.Cursor)
	}
	body, err := f.get(ctx, fingerprintEvents, query, "Bearer "+f.key)
	if err != nil {
		return Page{}, err
	}
	var answer struct {
		Events []jsontext.Value `json:"events"`
		Key    string           `json:"pagination_key"`
	}
	if jsonv2.Unmarshal(body, &answer, lenient()) != nil {
		return Page{}, errAnswer
	}
	page := Page{Next: answer.Key, Records: make([]Record, len(answer.Events))}
	for i, raw := range answer.Events {
		page.Records[i] = Record{Time: fingerprintTime(raw), JSON: json.RawMessage(raw)}
	}
	return page, nil
}

func fingerprintTime(raw jsontext.Value) time.Time {
	var head struct {
		Timestamp int64 `json:"timestamp"` // Unix milliseconds
	}
	if jsonv2.Unmarshal(raw, &head, lenient()) != nil || head.Timestamp <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(head.Timestamp)
}

// Event returns the record of GET /events/{event_id}.
func (f *Fingerprint) Event(ctx context.Context, id string) (json.RawMessage, error) {
	body, err := f.get(ctx, fingerprintEvents+"/"+url.PathEscape(id), nil, "Bearer "+f.key)
	return object(body, err)
}
