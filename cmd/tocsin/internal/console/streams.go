package console

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// Where streams are, here and in the admin API; each has a page below streamsPage.
const (
	streamsPage = "/console/streams"
	streamsAPI  = "/admin/streams"
)

func (c *Console) mountStreams() {
	c.page("GET "+streamsPage, listStreams)
	c.page("GET "+streamsPage+"/{id}", streamOf)
	c.page("GET "+streamsPage+"/{id}/subjects", streamSubjects)
	c.act(streamsPage+"/{id}/status", setStreamStatus)
	c.act(streamsPage+"/{id}/verify", verifyStream)
	c.act(streamsPage+"/{id}/replay", replayStream)
	c.act(streamsPage+"/{id}/profile", setStreamProfile)
	c.act(streamsPage+"/{id}/dead-letters/{jti}/resend", resendDeadLetter)
	c.act(streamsPage+"/{id}/dead-letters/{jti}/drop", dropDeadLetter)
}

// stream is one as the admin API has it.
type stream struct {
	ID              string           `json:"stream_id"`
	Issuer          string           `json:"iss"`
	Audience        streams.Audience `json:"aud"`
	EventsRequested []string         `json:"events_requested"`
	EventsDelivered []string         `json:"events_delivered"`
	Delivery        struct {
		Method      string `json:"method"`
		EndpointURL string `json:"endpoint_url"`
	} `json:"delivery"`
	MinVerificationInterval int64  `json:"min_verification_interval"` // in seconds
	InactivityTimeout       int64  `json:"inactivity_timeout"`        // in seconds
	Description             string `json:"description"`
	Application             string `json:"application"`
	Environment             string `json:"environment"`
	Profile                 string `json:"profile"`
	Encryption              *struct {
		KeyID     string `json:"kid"`
		Algorithm string `json:"alg"`
		Content   string `json:"enc"`
	} `json:"encryption"` // nil: SETs leave signed alone
	DefaultSubjects       string    `json:"default_subjects"`
	Created               time.Time `json:"created"`
	Active                time.Time `json:"active"`
	VerificationRequested time.Time `json:"verification_requested"`
	Status                string    `json:"status"`
	Reason                string    `json:"reason"`
	StatusBy              string    `json:"status_by"`
	Queued                int       `json:"queued"`
	InFlight              int       `json:"in_flight"`
	DeadLetters           int       `json:"dead_letters"`
	Oldest                time.Time `json:"oldest"`
	Failures              int       `json:"failures"`
	FailingSince          time.Time `json:"failing_since"`
	Refusals              int       `json:"refusals"`
	NextDue               time.Time `json:"next_due"`
	LastError             string    `json:"last_error"`
	Rules                 []struct {
		Rule string    `json:"rule"`
		At   time.Time `json:"at"`
		Left int       `json:"left"`
	} `json:"rules"`
	Subjects int `json:"subjects"`
}

// Method is how its SETs leave, in a word.
func (s stream) Method() string { return deliveryWord(s.Delivery.Method) }

// Host is the receiver's, or "" where the receiver comes for its SETs.
func (s stream) Host() string {
	u, err := url.Parse(s.Delivery.EndpointURL)
	if err != nil || s.Method() != "push" {
		return ""
	}
	return u.Host
}

// Endpoint is where SETs go, or come from.
func (s stream) Endpoint() string { return address(s.Delivery.EndpointURL) }

// address is a URL of others without its query, which may be a secret.
func address(raw string) string {
	shown, _, hidden := strings.Cut(raw, "?")
	if hidden {
		shown += "?…"
	}
	return shown
}

// Unsupported are the event types that the receiver asked for and does not get.
func (s stream) Unsupported() (types []string) {
	for _, t := range s.EventsRequested {
		if !slices.Contains(s.EventsDelivered, t) {
			types = append(types, t)
		}
	}
	return types
}

// By tells who decided the status, and who may change it.
func (s stream) By() string {
	switch {
	case s.StatusBy == "policy":
		return "an operator; the receiver cannot change it"
	case s.StatusBy == "transmitter" && s.Status != "enabled":
		return "the transmitter by itself; the receiver may enable it again"
	case s.StatusBy == "transmitter":
		return "the transmitter"
	case s.Status != "enabled":
		return "the receiver, who alone can enable it again"
	}
	return "the receiver"
}

// streamFilter is what the list is asked for.
type streamFilter struct{ Q, Status, Method, Has, After string }

// Query is the filter as a query, with another after.
func (f streamFilter) Query(after string) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"q": f.Q, "status": f.Status, "method": f.Method, "has": f.Has, "after": after} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// Statuses are those of a stream.
func (streamFilter) Statuses() []string { return []string{"enabled", "paused", "disabled"} }

// Methods are the delivery methods, in a word each.
func (streamFilter) Methods() []string { return []string{"push", "poll"} }

// Any reports whether something is filtered for.
func (f streamFilter) Any() bool { return f.Q+f.Status+f.Method+f.Has != "" }

// pageOf is a path with a query, where there is one.
func pageOf(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func listStreams(v *view) error {
	q := v.r.URL.Query()
	page := struct {
		Frame
		Filter  streamFilter
		Streams []stream
		Looked  int
		First   string // URLs of pages; "": there is none
		Next    string
	}{Frame: v.frame("Streams"), Filter: streamFilter{q.Get("q"), q.Get("status"), q.Get("method"), q.Get("has"), q.Get("after")}}
	var list struct {
		Streams []stream `json:"streams"`
		Looked  int      `json:"looked"`
		Next    string   `json:"next"`
	}
	if err := v.get(streamsAPI, &list, page.Filter.Query(page.Filter.After)); err != nil {
		return err
	}
	page.First = pageOf(streamsPage, page.Filter.Query(""))
	page.Streams, page.Looked = list.Streams, list.Looked
	if list.Next != "" {
		page.Next = pageOf(streamsPage, page.Filter.Query(list.Next))
	}
	return v.show("streams", page)
}
