package receive

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

// Entry is what one hook did about one event.
type Entry struct {
	Name string `json:"issuer"` // as configured
	LetterID
	Type          string    `json:"event_type"`
	TransactionID string    `json:"txn,omitempty"`
	Scope         string    `json:"scope"`
	Time          time.Time `json:"event_time"`
	Rule          string    `json:"rule"`
	Hook          string    `json:"hook"` // empty: no hook could end what was to be ended
	Effect        string    `json:"effect"`
	Verdict       string    `json:"verdict"`
	Attempt       int       `json:"attempt"`
	Ended         *int      `json:"ended"` // sessions; null: the hook cannot tell
	Detail        string    `json:"detail,omitempty"`
	Error         string    `json:"error,omitempty"`
	At            time.Time `json:"at"`
	TookMS        int64     `json:"took_ms"`
	Seq           uint64    `json:"seq"`
}

// EntryPage is an answer with entries, the newest first, and the seq before which the
// next begins; 0 after the last.
type EntryPage struct {
	Entries []Entry `json:"entries"`
	Next    uint64  `json:"next,omitempty"`
}

func entryOf(e journal.Entry) Entry {
	out := Entry{
		Name: e.Feed, LetterID: LetterID{e.Issuer, e.ID}, Type: e.Type, TransactionID: e.TransactionID, Scope: e.Scope,
		Time: e.Time.UTC(), Rule: e.Rule, Hook: e.Hook, Effect: e.Effect, Verdict: string(e.Verdict), Attempt: e.Attempt,
		Detail: e.Detail, Error: e.Err, At: e.At.UTC(), TookMS: e.Took.Milliseconds(), Seq: e.Seq,
	}
	if e.Ended != journal.Unknown {
		out.Ended = &e.Ended
	}
	return out
}

// queryOf reads a query of the journal; max is bounded by the journal's page.
func queryOf(q url.Values) journal.Query {
	before, _ := strconv.ParseUint(q.Get("before"), 10, 63)
	n, _ := strconv.Atoi(q.Get("max"))
	if n < 1 || n > journal.MaxPage {
		n = pageSize
	}
	return journal.Query{
		Feed: q.Get("issuer"), ID: q.Get("jti"), TransactionID: q.Get("txn"), Hook: q.Get("hook"),
		Verdict: journal.Verdict(q.Get("verdict")), Before: before, Max: n,
	}
}

func (s *Store) listEntries(w http.ResponseWriter, r *http.Request) {
	query := queryOf(r.URL.Query())
	if err := query.Check(); err != nil {
		refused(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	list, err := s.Journal.List(r.Context(), query)
	if err != nil {
		failed(w, err)
		return
	}
	page := EntryPage{Entries: []Entry{}}
	for _, e := range list {
		page.Entries = append(page.Entries, entryOf(e))
	}
	if len(list) == query.Max {
		page.Next = list[len(list)-1].Seq
	}
	answer(w, http.StatusOK, page)
}

func (s *Store) totals(w http.ResponseWriter, r *http.Request) {
	totals, err := s.Journal.Totals(r.Context())
	if err != nil {
		failed(w, err)
		return
	}
	answer(w, http.StatusOK, totals)
}
