package acts

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Bounds on what is told of a request.
const (
	maxBody   = 256 << 10 // what is looked at of a body
	maxObject = 256       // bytes of an id
	maxValue  = 1 << 10   // bytes of the value of a member
)

// named returns the ids in path and query.
func (s Spec) named(c echo.Context) map[string]string {
	ids := make(map[string]string)
	query := c.Request().URL.Query()
	for member, what := range s.Objects {
		if id := c.Param(member); id != "" {
			put(ids, what, id)
		} else if values := query[member]; len(values) == 1 {
			put(ids, what, values[0])
		}
	}
	return ids
}

func put(ids map[string]string, what, id string) {
	if id != "" && len(id) <= maxObject {
		ids[what] = id
	}
}

// tell adds what body and answer say of the act, as far as it may be told.
func (s Spec) tell(act *eventlog.Act, body, answer []byte) {
	ids := make(map[string]string, len(act.Objects))
	for what, id := range act.Objects { // the entry before has the other
		ids[what] = id
	}
	asked, made := members(body), members(answer)
	for member, what := range s.Objects {
		for _, from := range []map[string]json.RawMessage{made, asked} { // what we say counts more
			var id string
			v, _ := at(from, member)
			if _, known := ids[what]; !known && json.Unmarshal(v, &id) == nil {
				put(ids, what, id)
			}
		}
	}
	act.Objects = ids
	for _, member := range s.Shown {
		if v, given := at(asked, member); given {
			show(act, member, v)
		}
	}
	for _, member := range s.URLs {
		if v, given := at(asked, member); given {
			show(act, member, site(v))
		}
	}
	for _, member := range s.Hidden {
		if _, given := at(asked, member); given {
			act.Hidden = append(act.Hidden, member)
		}
	}
}

// show tells a value; of one that is too long, or none at all, only that it was given.
func show(act *eventlog.Act, member string, v json.RawMessage) {
	if v == nil || len(v) > maxValue {
		act.Hidden = append(act.Hidden, member)
		return
	}
	if act.Set == nil {
		act.Set = make(map[string]json.RawMessage)
	}
	act.Set[member] = v
}

// members returns those of a JSON object, none of what is not one.
func members(b []byte) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(b, &m) != nil {
		return nil
	}
	return m
}

// at returns the member at a dotted path.
func at(m map[string]json.RawMessage, path string) (json.RawMessage, bool) {
	name, rest, nested := strings.Cut(path, ".")
	v, given := m[name]
	if !nested || !given {
		return v, given
	}
	return at(members(v), rest)
}

// site returns of a URL what is no secret: a path or a query may be one.
func site(raw json.RawMessage) json.RawMessage {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil
	}
	out, err := json.Marshal(u.Scheme + "://" + u.Host)
	if err != nil {
		return nil
	}
	return out
}

// tee keeps the beginning of a body that is read.
type tee struct {
	io.ReadCloser
	read []byte
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.read = append(t.read, p[:min(n, maxBody-len(t.read))]...)
	return n, err
}

// held keeps an answer until it is released.
type held struct {
	http.ResponseWriter
	status int // 0: nothing was written
	body   bytes.Buffer
}

func (h *held) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *held) Write(b []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(b)
}

// Unwrap is for [http.ResponseController].
func (h *held) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (h *held) release() {
	if h.status == 0 {
		return
	}
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(h.body.Bytes()) // whoever asked has gone, if it fails
}
