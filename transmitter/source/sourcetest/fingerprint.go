package sourcetest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fingerprint is Fingerprint's Server API v4, at /v4: the search and look-up of
// events.
type Fingerprint struct {
	server
	key string
	now func() time.Time
}

// NewFingerprint returns a server without events that takes the key; now is its
// clock.
func NewFingerprint(key string, now func() time.Time) *Fingerprint {
	return &Fingerprint{key: key, now: now}
}

// FingerprintEvent returns an event as the search has it. Its event_id is the
// time in milliseconds and the number.
func FingerprintEvent(id int64, at time.Time, members string) Event {
	return Event{ID: id, Time: time.UnixMilli(at.UnixMilli()), JSON: fmt.Sprintf(
		`{"event_id":"%d.%d","timestamp":%d,"linked_id":"member-%d"%s}`, at.UnixMilli(), id, at.UnixMilli(), id, members)}
}

// ServeHTTP answers as it is documented.
func (f *Fingerprint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.begin(w, r) {
		return
	}
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	rest, known := strings.CutPrefix(r.URL.Path, "/v4/events")
	switch {
	case !ok || key == "":
		fingerprintRefuses(w, http.StatusForbidden, "secret_api_key_required", "secret key is required")
	case key != f.key:
		fingerprintRefuses(w, http.StatusForbidden, "secret_api_key_not_found", "secret key is not found")
	case !known || r.Method != http.MethodGet:
		fingerprintRefuses(w, http.StatusNotFound, "event_not_found", "event id not found")
	case rest == "":
		f.search(w, r.URL.Query())
	default:
		f.one(w, strings.TrimPrefix(rest, "/"))
	}
}

func fingerprintRefuses(w http.ResponseWriter, status int, code, message string) {
	reply(w, status, map[string]any{"error": map[string]string{"code": code, "message": message}})
}

func (f *Fingerprint) search(w http.ResponseWriter, q url.Values) {
	refuse := func(message string) {
		fingerprintRefuses(w, http.StatusBadRequest, "request_cannot_be_parsed", message)
	}
	if name := unknown(q, "start", "end", "limit", "reverse", "pagination_key"); name != "" {
		refuse("unknown parameter " + name)
		return
	}
	now := f.now()
	start, err := fingerprintTime(q.Get("start"), now.Add(-7*24*time.Hour))
	if err != nil {
		refuse("invalid start time")
		return
	}
	end, err := fingerprintTime(q.Get("end"), now)
	if err != nil {
		refuse("invalid end time")
		return
	}
	limit := 10
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 100 {
			refuse("invalid limit")
			return
		}
	}
	events := f.between(start, end)
	slices.SortStableFunc(events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	switch q.Get("reverse") {
	case "true":
	case "", "false":
		slices.Reverse(events)
	default:
		refuse("invalid reverse param")
		return
	}
	filters := q.Get("start") + "/" + q.Get("end") + "/" + q.Get("reverse")
	from := 0
	if key := q.Get("pagination_key"); key != "" {
		text, err := base64.RawURLEncoding.DecodeString(key)
		same, last, _ := strings.Cut(string(text), "|")
		from = 1 + slices.IndexFunc(events, func(e Event) bool {
			return err == nil && same == filters && strconv.FormatInt(e.ID, 10) == last
		})
		if from == 0 {
			refuse("invalid pagination key")
			return
		}
	}
	page := events[from:min(from+limit, len(events))]
	answer := map[string]any{"events": raw(page)}
	if from+limit < len(events) {
		last := strconv.FormatInt(page[len(page)-1].ID, 10)
		answer["pagination_key"] = base64.RawURLEncoding.EncodeToString([]byte(filters + "|" + last))
	}
	reply(w, http.StatusOK, answer)
}

func (f *Fingerprint) one(w http.ResponseWriter, id string) {
	_, number, ok := strings.Cut(id, ".")
	if !ok {
		fingerprintRefuses(w, http.StatusBadRequest, "request_cannot_be_parsed", "invalid event_id")
		return
	}
	e, ok := f.find(number)
	if !ok {
		fingerprintRefuses(w, http.StatusNotFound, "event_not_found", "event id not found")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(e.JSON))
}

// fingerprintTime reads Unix milliseconds or RFC 3339.
func fingerprintTime(text string, otherwise time.Time) (time.Time, error) {
	if text == "" {
		return otherwise, nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.UnixMilli(ms), nil
	}
	return time.Parse(time.RFC3339, text)
}
