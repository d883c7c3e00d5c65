package transmitter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// readerScope is of an application that reads and annotates.
const readerScope = "events.read events.annotate"

// record appends an event with the members, and returns its id.
func (h *house) record(token, members string) string {
	h.t.Helper()
	body := `{"type":"session.revoked","subject":{"format":"email","email":"jo@example.com"}`
	if members != "" {
		body += "," + members
	}
	return h.must(http.StatusAccepted, "POST", "/v1/events", token, body+"}").member("id")
}

// events are what a search answered.
type events struct {
	Events []struct {
		ID string `json:"id"`
	} `json:"events"`
	Cursor string `json:"cursor"`
	Total  *int   `json:"total_hits"`
}

func (e events) ids() []string {
	ids := []string{}
	for _, one := range e.Events {
		ids = append(ids, one.ID)
	}
	return ids
}

func (h *house) search(token, query string) events {
	h.t.Helper()
	a := h.must(http.StatusOK, "GET", "/v1/events?"+query, token, "")
	if a.header.Get("Cache-Control") != "no-store" {
		h.t.Errorf("search: got Cache-Control %q, want no-store", a.header.Get("Cache-Control"))
	}
	var e events
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		h.t.Fatalf("search: got %s: %v", a.body, err)
	}
	return e
}

// Every filter finds the event that it is meant for, and no other, at once after
// the answer to its sender.
func TestSearchFilters(t *testing.T) {
	for name, idle := range map[string]bool{"indexed": false, "not indexed": true} {
		t.Run(name, func(t *testing.T) {
			h := open(t, func(s *setup) { s.idle = idle })
			source, reader := h.client("hr", everyScope), h.client("shop", readerScope)
			complexSubject := `{"format":"complex","user":{"format":"email","email":"al@example.com"},"device":{"format":"opaque","id":"d1"}}`
			full := h.record(source, `"category":"security","identifier":"u1","email":"a+1@example.com","application":"app,1","session":"s1",
				"fingerprint":"f1","ip_address":"203.0.113.42","actor":"boss","linked_id":"l1","risk_score":70.5,
				"signals":{"vpn":true,"tor":false},"suspect":true,"tags":{"plan":"gold","a b":"c"}`)
			six := h.record(source, `"ip_address":"2001:db8::42","risk_score":20,"signals":{"vpn":false},"suspect":false`)
			mixed := h.must(http.StatusAccepted, "POST", "/v1/events", source, `{"type":"account.deleted","subject":`+complexSubject+`}`).member("id")
			if !idle {
				waitFor(t, h)
			}
			all := []string{mixed, six, full}
			for query, want := range map[string][]string{
				"":                                         all,
				"reverse=true":                             {full, six, mixed},
				"reverse=true&limit=1":                     {full},
				"type=session.revoked":                     {six, full},
				"type=account.deleted&type=nothing":        {mixed},
				"type=session.revoked,account.deleted":     {},
				"category=security":                        {full},
				"source=" + sourceOf(t, h, full):           all,
				"source=other":                             {},
				"identifier=u1":                            {full},
				"email=a%2B1%40example.com":                {full},
				"application=app%2C1":                      {full},
				"session=s1":                               {full},
				"session=s1&session=s2":                    {full},
				"session=s1&type=account.deleted":          {},
				"fingerprint=f1":                           {full},
				"actor=boss":                               {full},
				"linked_id=l1":                             {full},
				"ip_address=203.0.113.42":                  {full},
				"ip_address=203.0.112.0/20":                {full},
				"ip_address=0.0.0.0/0":                     {full},
				"ip_address=203.0.113.43":                  {},
				"ip_address=2001:db8::/32":                 {six},
				"ip_address=::/0":                          {six},
				"ip_address=::ffff:203.0.113.0/120":        {full},
				"ip_address=10.0.0.0/8&ip_address=::/0":    {six},
				"min_risk_score=20":                        {six, full},
				"min_risk_score=70.6":                      {},
				"suspect=true":                             {full},
				"suspect=false":                            {six},
				"signals.vpn=true":                         {full},
				"signals.vpn=false":                        {six},
				"signals.tor=false":                        {full},
				"signals.proxy=false":                      {},
				"tags.plan=gold":                           {full},
				"tags.plan=silver":                         {},
				"tags.a%20b=c":                             {full},
				"environment=test":                         {},
				bySubject(complexSubject):                  {mixed},
				bySubject(`{"id":"d1","format":"opaque"}`): {mixed},
				bySubject(`{"format":"email","email":"al@example.com"}`):                                                        {mixed},
				bySubject(`{"format":"email","email":"jo@example.com"}`) + "&" + bySubject(`{"format":"opaque","id":"nobody"}`): {six, full},
				bySubject(`{"format":"phone_number","phone_number":"+12065550100"}`):                                            {},
				"start=0":             all,
				"end=1000":            {},
				"start=4102444800000": {},
			} {
				if got := h.search(reader, query).ids(); !slices.Equal(got, want) {
					t.Errorf("?%s: got %q, want %q", query, got, want)
				}
			}
		})
	}
}

func bySubject(id string) string { return "subject=" + url.QueryEscape(id) }

func sourceOf(t *testing.T, h *house, id string) string {
	t.Helper()
	rec, err := h.log.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return url.QueryEscape(rec.Source)
}

// waitFor waits until the index has all of the log.
func waitFor(t *testing.T, h *house) {
	t.Helper()
	head, err := h.log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.index.Wait(ctx, head); err != nil {
		t.Fatalf("Wait: got %v, want no error", err)
	}
}

// Bounds are exclusive, the beginning is by default a week ago, and either moves
// without the other.
func TestSearchTime(t *testing.T) {
	h := open(t)
	source := h.client("hr", everyScope)
	now := time.Now().UTC().Truncate(time.Millisecond)
	id := make(map[time.Duration]string)
	for _, age := range []time.Duration{time.Hour, 6 * 24 * time.Hour, 8 * 24 * time.Hour} {
		id[age] = h.record(source, fmt.Sprintf(`"time":%q`, now.Add(-age).Format(time.RFC3339Nano)))
	}
	hour, six, eight := id[time.Hour], id[6*24*time.Hour], id[8*24*time.Hour]
	rfc := func(age time.Duration) string { return url.QueryEscape(now.Add(-age).Format(time.RFC3339Nano)) }
	ms := func(age time.Duration) string { return fmt.Sprint(now.Add(-age).UnixMilli()) }
	for query, want := range map[string][]string{
		"":                                     {hour, six},
		"start=" + rfc(9*24*time.Hour):         {hour, six, eight},
		"start=" + ms(8*24*time.Hour):          {hour, six},
		"start=" + ms(8*24*time.Hour+1e6):      {hour, six, eight},
		"end=" + rfc(time.Hour):                {six},
		"end=" + ms(time.Hour-1e6):             {hour, six},
		"end=" + ms(7*24*time.Hour):            {},
		"start=1&end=" + ms(7*24*time.Hour):    {eight},
		"start=" + ms(1) + "&end=" + ms(1<<30): {},
	} {
		if got := h.search(source, query).ids(); !slices.Equal(got, want) {
			t.Errorf("?%s: got %q, want %q", query, got, want)
		}
	}
}

// What is wrong with a parameter is told by its name.
func TestSearchRefusals(t *testing.T) {
	h := open(t)
	token := h.client("shop", readerScope)
	for query, member := range map[string]string{
		"visitor=1":                            "visitor",
		"limit=0":                              "limit",
		"limit=101":                            "limit",
		"limit=ten":                            "limit",
		"limit=1&limit=2":                      "limit",
		"total_hits=1001":                      "total_hits",
		"total_hits=0":                         "total_hits",
		"reverse=yes":                          "reverse",
		"suspect=1":                            "suspect",
		"suspect=true&suspect=false":           "suspect",
		"signals.vpn=unknown":                  "signals.vpn",
		"signals.=true":                        "signals.",
		"min_risk_score=high":                  "min_risk_score",
		"min_risk_score=NaN":                   "min_risk_score",
		"start=yesterday":                      "start",
		"end=99999999999999999":                "end",
		"ip_address=203.0.113.0/33":            "ip_address",
		"ip_address=fe80::1%25eth0":            "ip_address",
		"subject=jo@example.com":               "subject",
		"subject={}":                           "subject",
		"session=":                             "session",
		"session=" + strings.Repeat("a", 1025): "session",
		"type=a&Type=b":                        "Type",
		"cursor=x":                             "cursor",
		"cursor=":                              "cursor",
		"fields=id,type":                       "fields",
		strings.Repeat("session=a&", 65):       "",
		"session=%zz":                          "",
		"a=" + strings.Repeat("a", 16<<10):     "",
		strings.Repeat("n", 100) + "=1":        strings.Repeat("n", 64),
	} {
		a := h.must(http.StatusBadRequest, "GET", "/v1/events?"+query, token, "")
		if a.member("member") != member || a.member("err") != "invalid_request" {
			t.Errorf("?%.60s: got %s, want invalid_request of %q", query, a.body, member)
		}
	}
	if a := h.do("GET", "/v1/events", h.client("shop", "events.write"), ""); a.status != http.StatusForbidden {
		t.Errorf("without events.read: got %d, want 403", a.status)
	}
	if a := h.do("GET", "/v1/events", "", ""); a.status != http.StatusUnauthorized {
		t.Errorf("without a token: got %d, want 401", a.status)
	}
}

// Nothing of others is seen or counted: not another application's events, not
// another environment's, not what stands beside events.
func TestSearchScope(t *testing.T) {
	h := open(t)
	all := h.client("hr", everyScope)
	forShop := h.client("hr", everyScope, &auth.Source{Name: "till", Applications: []string{"shop"}})
	shop, bank := h.client("shop", readerScope), h.client("bank", readerScope)
	operator := h.client("ops", "admin")
	open, hidden := h.record(all, ""), h.record(forShop, `"session":"s1"`)
	h.must(http.StatusOK, "PATCH", "/v1/events/"+open, shop, `{"suspect":true}`)
	for name, tt := range map[string]struct {
		token string
		want  []string
	}{
		"the one that it is for": {shop, []string{hidden, open}},
		"another":                {bank, []string{open}},
		"an operator":            {operator, []string{hidden, open}},
	} {
		got := h.search(tt.token, "total_hits=10")
		if !slices.Equal(got.ids(), tt.want) || got.Total == nil || *got.Total != len(tt.want) {
			t.Errorf("%s: got %q of %v, want %q", name, got.ids(), got.Total, tt.want)
		}
	}
	if got := h.search(bank, "session=s1&total_hits=1"); len(got.Events) != 0 || *got.Total != 0 {
		t.Errorf("by its session: got %q of %d, want nothing", got.ids(), *got.Total)
	}
	client := auth.Client{Application: "shop", Scopes: []auth.Scope{"events.read"}, Static: true, Environment: "test"}
	made, err := h.apps.AddClient(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{"": 0, "environment=test": 0, "environment=live": 0} {
		if got := h.search(made.AccessToken, query+"&total_hits=10"); len(got.Events) != want || *got.Total != want {
			t.Errorf("another environment, ?%s: got %d events of %d, want %d", query, len(got.Events), *got.Total, want)
		}
	}
	client.Scopes = []auth.Scope{"events.write"}
	writer, err := h.apps.AddClient(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	test := h.record(writer.AccessToken, "")
	for query, want := range map[string][]string{"": {test}, "environment=test": {test}, "environment=live": {}, "environment=live&environment=test": {test}} {
		if got := h.search(made.AccessToken, query).ids(); !slices.Equal(got, want) {
			t.Errorf("its environment, ?%s: got %q, want %q", query, got, want)
		}
	}
	if got := h.search(shop, "environment=test").ids(); !slices.Equal(got, []string{test}) {
		t.Errorf("without an environment: got %q, want all", got)
	}
	if _, err := h.log.Erase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if got := h.search(shop, ""); !slices.Equal(got.ids(), []string{test, hidden}) {
		t.Errorf("after an erasure: got %q, want the others", got.ids())
	}
}

// fields chooses members; the id comes always.
func TestFields(t *testing.T) {
	h := open(t)
	source, reader := h.client("hr", everyScope), h.client("shop", readerScope)
	id := h.record(source, `"session":"s1","tags":{"a":"b"}`)
	want := fmt.Sprintf(`{"id":%q,"session":"s1","type":"session.revoked"}`, id)
	one := h.must(http.StatusOK, "GET", "/v1/events/"+id+"?fields=session&fields=type&fields=suspect", reader, "")
	if got := strings.TrimSpace(one.body); got != want {
		t.Errorf("get: got %s, want %s", got, want)
	}
	page := h.must(http.StatusOK, "GET", "/v1/events?fields=session&fields=type", reader, "")
	if got := page.member("events"); got != "["+want+"]" {
		t.Errorf("search: got %s, want [%s]", got, want)
	}
	for query, member := range map[string]string{"fields=secret": "fields", "fields=": "fields", "limit=1": "limit", "fields=ID": "fields"} {
		if a := h.must(http.StatusBadRequest, "GET", "/v1/events/"+id+"?"+query, reader, ""); a.member("member") != member {
			t.Errorf("get ?%s: got %s, want a refusal of %s", query, a.body, member)
		}
	}
}

// The catalogue tells what types there are and what each becomes.
func TestEventTypes(t *testing.T) {
	h := open(t)
	reader := h.client("shop", readerScope)
	var got struct {
		Types []struct {
			ID, Name, Category string
			Events             []string
		}
	}
	if err := json.Unmarshal([]byte(h.must(http.StatusOK, "GET", "/v1/event-types", reader, "").body), &got); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, one := range got.Types {
		seen[one.ID] = true
		if one.ID == "session.revoked" && (one.Category != "authentication" || !slices.Equal(one.Events, []string{sessionRevoked})) {
			t.Errorf("session.revoked: got %+v, want what it becomes", one)
		}
	}
	for _, id := range []string{"session.revoked", "idme:session.signin", "onelogin:5"} {
		if !seen[id] {
			t.Errorf("got no type %s, want it", id)
		}
	}
	if a := h.must(http.StatusBadRequest, "GET", "/v1/event-types?limit=1", reader, ""); a.member("member") != "limit" {
		t.Errorf("a parameter: got %s, want a refusal", a.body)
	}
}

// What a consent gate holds is neither found, nor counted, nor told by a cursor,
// nor annotated.
func TestSearchConsent(t *testing.T) {
	h := open(t)
	shop, bank := h.client("shop", everyScope), h.client("bank", everyScope)
	h.must(http.StatusOK, "PUT", "/v1/consents/gate", shop, `{"enabled":true}`)
	one := func(who string) string {
		return h.must(http.StatusAccepted, "POST", "/v1/events", bank,
			`{"type":"session.revoked","subject":{"format":"email","email":"`+who+`@example.com"}}`).member("id")
	}
	var joes []string
	for range 2 {
		joes = append(joes, one("jo"))
		one("al")
	}
	if got := h.search(shop, "limit=1&total_hits=10"); len(got.Events) != 0 || got.Cursor != "" || *got.Total != 0 {
		t.Errorf("held: got %q of %d and cursor %q, want nothing", got.ids(), *got.Total, got.Cursor)
	}
	if got := h.search(bank, "limit=1&total_hits=10"); len(got.Events) != 1 || got.Cursor == "" || *got.Total != 4 {
		t.Errorf("without a gate: got %q of %d and cursor %q, want one of 4", got.ids(), *got.Total, got.Cursor)
	}
	h.must(http.StatusNotFound, "PATCH", "/v1/events/"+joes[0], shop, `{"suspect":true}`)
	h.must(http.StatusNotFound, "GET", "/v1/events/"+joes[0]+"/annotations", shop, "")
	h.decide(http.StatusCreated, shop, "grant")
	first := h.search(shop, "limit=1&total_hits=10&reverse=true")
	if !slices.Equal(first.ids(), joes[:1]) || first.Cursor == "" || *first.Total != 2 {
		t.Errorf("released: got %q of %d and cursor %q, want %q of 2 and more", first.ids(), *first.Total, first.Cursor, joes[0])
	}
	// One that is held comes after it: there is no more to be seen.
	last := h.search(shop, "limit=1&reverse=true&cursor="+first.Cursor)
	if !slices.Equal(last.ids(), joes[1:]) || last.Cursor != "" {
		t.Errorf("the last: got %q and cursor %q, want %q and none", last.ids(), last.Cursor, joes[1])
	}
	h.must(http.StatusOK, "PATCH", "/v1/events/"+joes[0], shop, `{"suspect":true}`)
}
