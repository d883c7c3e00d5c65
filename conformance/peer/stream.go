package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Stream is what a transmitter knows of a stream.
type Stream struct {
	ID, Client          string
	Method, EndpointURL string
	Requested           []string
	Delivered           []string
	Status              streams.Status
	// Waiting is how many SETs are queued.
	Waiting int
	// Authorization tells whether pushes bear an Authorization header.
	Authorization bool
}

// stream is a stream with its queue.
type stream struct {
	id          string
	owner       *Client
	requested   []string // nil: nothing was
	description *string

	method, endpoint, authorization string

	status streams.Status
	reason string

	added, removed []subject.Identifier

	control, events []*item // control goes first
	verified        time.Time
	active          time.Time

	pushing bool      // one push at a time
	due     time.Time // of the next push after a failure
}

// item is a SET in a queue.
type item struct {
	id, compact string
	always      bool // leaves a stream that is paused or disabled, too
	attempts    int
	out         time.Time // of a poll: until when it is not given again
}

func (t *Transmitter) public(s *stream) Stream {
	return Stream{
		ID: s.id, Client: s.owner.ID, Method: s.method, EndpointURL: s.endpoint, Status: s.status,
		Requested: slices.Clone(s.requested), Delivered: t.delivered(s), Waiting: len(s.control) + len(s.events), Authorization: s.authorization != "",
	}
}

// AddStream makes a stream by other means than the API, for a client, and returns its id.
// Method, EndpointURL and Requested of s count, and authorization is the
// authorization_header of its pushes.
func (t *Transmitter) AddStream(clientID string, s Stream, authorization string) (id string, err error) {
	t.state.Lock()
	defer t.state.Unlock()
	i := slices.IndexFunc(t.cfg.Clients, func(c Client) bool { return c.ID == clientID })
	if i < 0 {
		return "", fmt.Errorf("peer: no client %s", clientID)
	}
	made := &stream{id: t.id("stream"), owner: &t.cfg.Clients[i], requested: s.Requested, status: streams.Enabled, active: time.Now()}
	if why := t.deliver(made, wishes{method: s.Method, endpoint: s.EndpointURL, authorization: authorization}); why != "" {
		return "", errors.New("peer: " + why)
	}
	t.streams = append(t.streams, made)
	t.nudge()
	return made.id, nil
}

// delivered are the event types that are both supported and requested.
func (t *Transmitter) delivered(s *stream) []string {
	list := []string{}
	for _, typ := range t.cfg.Events {
		if slices.Contains(s.requested, typ) {
			list = append(list, typ)
		}
	}
	return list
}

// configuration is a stream as it is answered (SSF §8.1.1).
func (t *Transmitter) configuration(s *stream) object {
	o := object{
		"stream_id": s.id, "iss": t.cfg.Issuer, "aud": s.owner.Audience,
		"events_supported": t.cfg.Events, "events_delivered": t.delivered(s),
		"delivery": object{"method": s.method, "endpoint_url": s.endpoint},
	}
	if s.requested != nil {
		o["events_requested"] = s.requested
	}
	if s.description != nil {
		o["description"] = *s.description
	}
	if n := int(t.cfg.MinVerificationInterval.Seconds()); n > 0 {
		o["min_verification_interval"] = n
	}
	if n := int(t.cfg.InactivityTimeout.Seconds()); n > 0 {
		o["inactivity_timeout"] = n
	}
	return o
}

// find returns the stream with this id of who asks; under state.
func (t *Transmitter) find(r *request, id string) *stream {
	for _, s := range t.streams {
		if s.id == id && (s.owner == r.client || t.conduct.seesAll) {
			if !t.conduct.callsForgotten {
				s.active = time.Now()
			}
			return s
		}
	}
	return nil
}

// named returns the stream that the query names, or a refusal.
func (t *Transmitter) named(r *request) (*stream, *reply) {
	id := r.URL.Query().Get("stream_id")
	if id == "" {
		return nil, refuse(http.StatusBadRequest, "stream_id is missing")
	}
	if s := t.find(r, id); s != nil {
		return s, nil
	}
	return nil, refuse(http.StatusNotFound, "no such stream")
}

// inBody returns the stream that the body names and its members, or a refusal.
func (t *Transmitter) inBody(r *request) (*stream, map[string]json.RawMessage, *reply) {
	body, err := members(r.body)
	if err != nil {
		return nil, nil, refuse(http.StatusBadRequest, "the body is not a JSON object")
	}
	id, ok := text(body["stream_id"])
	if !ok || id == "" {
		return nil, nil, refuse(http.StatusBadRequest, "stream_id is missing")
	}
	if s := t.find(r, id); s != nil {
		return s, body, nil
	}
	return nil, nil, refuse(http.StatusNotFound, "no such stream")
}

// wishes are the members of a stream that a receiver supplies.
type wishes struct {
	requested                       []string
	description                     *string
	method, endpoint, authorization string // method empty: no delivery
	kept                            bool   // no authorization_header was named
}

// wishesIn reads what a receiver supplies; why says what is wrong with it.
func (t *Transmitter) wishesIn(body map[string]json.RawMessage) (w wishes, why string) {
	if raw, ok := body["events_requested"]; ok {
		if w.requested, ok = texts(raw); !ok {
			return w, "events_requested is no array of strings"
		}
	}
	if raw, ok := body["description"]; ok && string(raw) != "null" {
		d, ok := text(raw)
		if !ok {
			return w, "description is no string"
		}
		w.description = &d
	}
	raw, ok := body["delivery"]
	if !ok {
		return w, ""
	}
	d, err := members(raw)
	if err != nil {
		return w, "delivery is no object"
	}
	if w.method, ok = text(d["method"]); !ok || w.method != delivery.MethodPush && w.method != delivery.MethodPoll {
		return w, "delivery.method is missing or not supported"
	}
	w.endpoint, _ = text(d["endpoint_url"])
	raw, ok = d["authorization_header"]
	w.kept = !ok
	if ok && string(raw) != "null" {
		if w.authorization, ok = text(raw); !ok || strings.ContainsFunc(w.authorization, unprintable) && !t.conduct.anyAuthorization {
			return w, "delivery.authorization_header is no value of a header"
		}
	}
	return w, ""
}

func unprintable(r rune) bool { return r < ' ' || r == 0x7f }

// deliver takes over a delivery; why says what is wrong with it.
func (t *Transmitter) deliver(s *stream, w wishes) (why string) {
	if w.method == delivery.MethodPoll {
		s.method, s.endpoint, s.authorization = w.method, t.at("/poll")+"?stream_id="+url.QueryEscape(s.id), ""
		if t.conduct.sharedPoll {
			s.endpoint = t.at("/poll")
		}
		return ""
	}
	u, err := url.Parse(w.endpoint)
	wrong := err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || t.base.Scheme != "http" || !isLoopback(u.Hostname()))
	if wrong && !t.conduct.anyEndpoint {
		return "delivery.endpoint_url is missing or not https"
	}
	if !w.kept || w.endpoint != s.endpoint {
		s.authorization = w.authorization
	}
	s.method, s.endpoint = w.method, w.endpoint
	return ""
}

// isLoopback reports whether a host is this machine, which plain http may reach.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
