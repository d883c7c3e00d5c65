package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/wellknown"
)

// request is one of the receiver's, its body read.
type request struct {
	*http.Request
	op     Op
	body   []byte
	client *Client // who asks; nil: nobody, or anybody
	scopes []string
	began  time.Time
}

const padPiece = 64 << 10 // bytes that are written at once

// reply is an answer before it is written.
type reply struct {
	status int
	header http.Header
	body   any // JSON, unless it is []byte; nil: none
	pad    int // bytes of spaces behind it
}

func answer(status int, body any) *reply {
	a := &reply{status: status, header: http.Header{}, body: body}
	if body != nil {
		a.header.Set("Content-Type", "application/json")
	}
	return a
}

// refuse answers an error of a management request; its body is nobody's business.
func refuse(status int, why string) *reply {
	return answer(status, object{"err": "invalid_request", "description": why})
}

// endpoint is a path with what it is for, by method, and whether it is protected.
type endpoint struct {
	path string
	ops  map[string]Op
	open bool
}

// endpoints returns all addresses.
func (t *Transmitter) endpoints() []endpoint {
	base := strings.TrimSuffix(t.base.Path, "/")
	get := func(op Op) map[string]Op { return map[string]Op{http.MethodGet: op} }
	post := func(op Op) map[string]Op { return map[string]Op{http.MethodPost: op} }
	return []endpoint{
		{wellknown.Path(t.cfg.Issuer), get(OpMetadata), true},
		{wellknown.AuthorizationServerPath(t.cfg.Issuer), get(OpServer), true},
		{wellknown.ProtectedResourcePath(t.at("/streams")), get(OpResource), true},
		{base + "/jwks.json", get(OpKeys), true},
		{base + "/token", post(OpToken), true},
		{base + "/streams", map[string]Op{
			http.MethodPost: OpCreate, http.MethodGet: OpRead, http.MethodPatch: OpUpdate, http.MethodPut: OpReplace, http.MethodDelete: OpDelete,
		}, false},
		{base + "/status", map[string]Op{http.MethodGet: OpStatus, http.MethodPost: OpSetStatus}, false},
		{base + "/subjects/add", post(OpAddSubject), false},
		{base + "/subjects/remove", post(OpRemoveSubject), false},
		{base + "/verify", post(OpVerify), false},
		{base + "/poll", post(OpPoll), false},
	}
}

// Handler serves the whole host of the issuer.
func (t *Transmitter) Handler() http.Handler {
	endpoints := t.endpoints()
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		r := &request{Request: hr, op: OpNone, began: time.Now()}
		a := t.handle(r, endpoints)
		t.write(w, r, a)
	})
}

func (t *Transmitter) handle(r *request, endpoints []endpoint) *reply {
	i := slices.IndexFunc(endpoints, func(e endpoint) bool { return e.path == r.URL.Path })
	var at endpoint
	if i >= 0 {
		at = endpoints[i]
		r.op = at.ops[r.Method]
	}
	if r.op == OpRead && !r.URL.Query().Has("stream_id") {
		r.op = OpList
	}
	var err error
	if r.body, err = readAll(r.Body, MaxRequestBytes); err != nil {
		return refuse(http.StatusRequestEntityTooLarge, "the body cannot be read")
	}
	t.state.Lock()
	defer t.state.Unlock()
	a := t.judge(r, at)
	for _, alter := range t.conduct.after {
		alter(t, r, a)
	}
	return a
}

// judge answers a request; under state, which a long poll leaves while it waits.
func (t *Transmitter) judge(r *request, at endpoint) *reply {
	for _, stand := range t.conduct.before {
		if a := stand(t, r); a != nil {
			return a
		}
	}
	switch {
	case at.path == "":
		return answer(http.StatusNotFound, nil)
	case r.op == "":
		r.op = OpNone
		a := answer(http.StatusMethodNotAllowed, nil)
		for method := range at.ops {
			a.header.Add("Allow", method)
		}
		return a
	}
	if !at.open {
		if a := t.authorize(r); a != nil {
			return a
		}
	}
	a := t.operations()[r.op](r)
	if !at.open {
		a.header.Set("Cache-Control", "no-store")
	}
	return a
}

func (t *Transmitter) operations() map[Op]func(*request) *reply {
	return map[Op]func(*request) *reply{
		OpMetadata: t.metadata, OpServer: t.server, OpResource: t.resource, OpKeys: t.keys, OpToken: t.token,
		OpCreate: t.create, OpRead: t.read, OpList: t.list, OpUpdate: t.update, OpReplace: t.replace, OpDelete: t.remove,
		OpStatus: t.status, OpSetStatus: t.setStatus, OpAddSubject: t.addSubject, OpRemoveSubject: t.removeSubject,
		OpVerify: t.verify, OpPoll: t.poll,
	}
}

// write sends an answer and notes the exchange.
func (t *Transmitter) write(w http.ResponseWriter, r *request, a *reply) {
	t.state.Lock()
	delay := t.conduct.delay[r.op]
	t.state.Unlock()
	pause(r.Context(), delay)
	body := encoded(a.body)
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, err := w.Write(body)
	sent := len(body)
	for space := bytes.Repeat([]byte(" "), padPiece); err == nil && sent < len(body)+a.pad; sent += padPiece {
		_, err = w.Write(space)
	}
	e := t.exchange(r)
	e.Status, e.ResponseHeader, e.ResponseBody = a.status, w.Header().Clone(), string(body)
	if r.op == OpToken {
		e.ResponseBody = "(hidden)"
	}
	if err != nil {
		e.Err = fmt.Sprintf("the receiver was gone after %d bytes of the answer", sent)
	}
	if a.pad > 0 {
		e.ResponseBody = fmt.Sprintf("(%d bytes)", sent)
	}
	t.add(e)
}

// exchange returns a request as it is noted, without an answer.
func (t *Transmitter) exchange(r *request) Exchange {
	e := Exchange{
		Op: r.op, Began: r.began, Took: time.Since(r.began), StreamID: r.streamID(),
		Method: r.Method, URL: t.base.Scheme + "://" + r.Host + r.URL.RequestURI(), RequestHeader: hidden(r.Header), RequestBody: r.shown(),
	}
	if r.client != nil {
		e.Client = r.client.ID
	}
	return e
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// shown is the body without secrets.
func (r *request) shown() string {
	switch r.op {
	case OpToken:
		form, err := url.ParseQuery(string(r.body))
		if err != nil {
			return "(hidden)"
		}
		for name := range form {
			if name != "grant_type" && name != "scope" {
				form.Set(name, "hidden")
			}
		}
		return form.Encode()
	case OpCreate, OpUpdate, OpReplace:
		body, err := members(r.body)
		if err != nil || !bytes.Contains(r.body, []byte("authorization_header")) {
			return string(r.body)
		}
		delivery, err := members(body["delivery"])
		if err != nil {
			return string(r.body)
		}
		delivery["authorization_header"] = json.RawMessage(`"hidden"`)
		body["delivery"] = encoded(delivery)
		return string(encoded(body))
	}
	return string(r.body)
}

// streamID is the stream that a request names, in its query or body.
func (r *request) streamID() string {
	if id := r.URL.Query().Get("stream_id"); id != "" {
		return id
	}
	body, err := members(r.body)
	if err != nil {
		return ""
	}
	id, _ := text(body["stream_id"])
	return id
}
