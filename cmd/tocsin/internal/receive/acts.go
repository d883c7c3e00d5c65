package receive

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acts"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

const (
	// noteTime bounds how long the outcome of an act may take to be noted: whoever asked
	// may have gone.
	noteTime = 10 * time.Second
	// maxObject bounds an id that is told, in bytes: a jti, an issuer.
	maxObject = 2048

	reloadAct = "configuration.reload"
	// fromSignal is from where a reload comes that SIGHUP asked for: nobody knows who.
	fromSignal = "signal"
	// defaultNode is what a process is called that has no name.
	defaultNode = "tocsin"
)

// actSpec says what a route does, and which members of its body are ids that are told.
type actSpec struct {
	name string
	// objects are what ids are of, by the member of the body.
	objects map[string]string
	// here: it changes this process alone, which is told.
	here bool
}

// actsOf are the routes that are administrative acts. What applications tell of their
// sessions (POST /sessions…) is none, and to explain a SET changes nothing.
func actsOf() map[string]actSpec {
	letter := map[string]string{"iss": "issuer", "jti": "dead_letter"}
	return map[string]actSpec{
		"POST /admin/reload":             {name: reloadAct, here: true},
		"POST /admin/dead-letters/retry": {name: "dead_letter.resend", objects: letter},
		"POST /admin/dead-letters/drop":  {name: "dead_letter.drop", objects: letter},
	}
}

// muxer takes routes.
type muxer interface {
	Handle(pattern string, h http.Handler)
}

// router is a mux that notes the acts among its routes.
type router struct {
	mux      *http.ServeMux
	recorder recorder
	who      func(*http.Request) eventlog.Actor
	admits   func(*http.Request) bool // nil: everybody
	patterns []string
}

func newRouter(rec recorder, who func(*http.Request) eventlog.Actor) *router {
	return &router{mux: http.NewServeMux(), recorder: rec, who: who}
}

// Handle adds a route.
func (r *router) Handle(pattern string, h http.Handler) {
	r.patterns = append(r.patterns, pattern)
	if spec, ok := actsOf()[pattern]; ok {
		h = r.recorder.wrap(spec, r.who, h)
	}
	r.mux.Handle(pattern, h)
}

// HandleFunc adds a route.
func (r *router) HandleFunc(pattern string, h http.HandlerFunc) { r.Handle(pattern, h) }

// ServeHTTP serves who is let in.
func (r *router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.admits != nil && !r.admits(req) {
		refused(w, http.StatusUnauthorized, "unauthorized", "nobody is signed in")
		return
	}
	r.mux.ServeHTTP(w, req)
}

// onSocket tells who asks through the socket; on a system that does not tell whose a
// connection is, it is the operator.
func onSocket(r *http.Request) eventlog.Actor {
	if p, ok := edge.PeerOf(r.Context()); ok {
		return eventlog.Actor{UID: &p.UID, PID: &p.PID}
	}
	return eventlog.Actor{Client: "operator"}
}

// cameFrom tells from where a request comes, in the words of a transmitter's log.
func cameFrom(r *http.Request) string {
	if p, ok := edge.PeerOf(r.Context()); ok && p.Own {
		return "command"
	}
	if a := edge.Address(r); a.IsValid() {
		return a.String()
	}
	return "socket"
}

// recorder notes acts.
type recorder struct {
	acts acts.Store
	log  *slog.Logger
	node string
}

func (d *Daemon) recorder() recorder {
	return recorder{acts: d.Acts, log: d.log, node: d.opts.Node}
}

// wrap returns next with the act noted around it: before anything is done, without which
// nothing is, and its outcome before the answer leaves.
func (rec recorder) wrap(spec actSpec, who func(*http.Request) eventlog.Actor, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxAsk+1)) // one more: next refuses what is too long
		if err != nil {
			refused(w, http.StatusBadRequest, "invalid_request", "the body could not be read")
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		act := &eventlog.Act{Act: spec.name, By: who(r), From: cameFrom(r), Request: edge.From(r.Context()).ID(), Objects: spec.told(body)}
		rec.nameNode(act, spec.here)
		seq, err := rec.acts.Note(r.Context(), act)
		if err != nil {
			rec.log.ErrorContext(r.Context(), "an act could not be noted, and was not done", "act", act.Act, "err", err)
			refused(w, http.StatusServiceUnavailable, "unavailable", "nothing was done: the act cannot be noted: "+err.Error())
			return
		}
		rec.observe(w, r, seq, act, next)
	})
}

// observe runs next and holds its answer back until the outcome is noted.
func (rec recorder) observe(w http.ResponseWriter, r *http.Request, seq uint64, act *eventlog.Act, next http.Handler) {
	held := &heldAnswer{ResponseWriter: w}
	act.Outcome, act.Status = eventlog.ActFailed, http.StatusInternalServerError // if it panics
	defer func() {
		rec.settle(r.Context(), seq, act)
		held.release()
	}()
	next.ServeHTTP(held, r)
	held.WriteHeader(http.StatusOK) // if it wrote nothing
	act.Status, act.Code = held.status, held.code()
	switch {
	case act.Status < 400:
		act.Outcome = eventlog.ActDone
	case act.Status < 500:
		act.Outcome = eventlog.ActRefused
	}
}

// settle notes what became of an act. What was done is not undone if that cannot be: it
// stays open in the list, and the log of the process tells.
func (rec recorder) settle(ctx context.Context, seq uint64, act *eventlog.Act) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	if err := rec.acts.Settle(limited, seq, act); err != nil {
		rec.log.ErrorContext(ctx, "the outcome of an act could not be noted", "act", act.Act, "outcome", act.Outcome, "err", err)
	}
}

func (rec recorder) nameNode(act *eventlog.Act, here bool) {
	if here && rec.node != "" {
		act.Objects["node"] = rec.node
	}
}

// told returns the ids that a body has.
func (spec actSpec) told(body []byte) map[string]string {
	ids := map[string]string{}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return ids // next refuses it
	}
	for member, what := range spec.objects {
		var id string
		if json.Unmarshal(members[member], &id) == nil && id != "" && len(id) <= maxObject {
			ids[what] = id
		}
	}
	return ids
}

// ReloadBySignal is reload, asked for by SIGHUP: an act of this process. What cannot be
// noted is not done, and told by Health.
func (d *Daemon) ReloadBySignal(ctx context.Context, reload func(ctx context.Context) error) error {
	rec := d.recorder()
	act := &eventlog.Act{Act: reloadAct, By: eventlog.Actor{Node: rec.node}, From: fromSignal, Objects: map[string]string{}}
	if act.By.Node == "" {
		act.By.Node = defaultNode
	}
	rec.nameNode(act, true)
	seq, err := rec.acts.Note(ctx, act)
	if err != nil {
		err = fmt.Errorf("nothing was done: the act cannot be noted: %w", err)
		d.NoteReload(ctx, err)
		return err
	}
	act.Outcome = eventlog.ActFailed // if it panics
	defer func() { rec.settle(ctx, seq, act) }()
	if err := reload(ctx); err != nil {
		act.Outcome = eventlog.ActRefused
		return err
	}
	act.Outcome = eventlog.ActDone
	return nil
}

// NoteSession notes that somebody signed in to the console, or out: act is
// "console.sign_in" or "console.sign_out", how by what ("token", "code", "oidc").
// Error: the store did not take it; then nobody is to be let in.
func (d *Daemon) NoteSession(ctx context.Context, r *http.Request, act string, by eventlog.Actor, how string) error {
	set, err := json.Marshal(how)
	if err != nil {
		return err
	}
	by.Via = eventlog.ViaConsole
	_, err = d.Acts.Note(ctx, &eventlog.Act{
		Act: act, By: by, From: cameFrom(r), Request: edge.From(r.Context()).ID(),
		Set: map[string]json.RawMessage{"by": set}, Outcome: eventlog.ActDone, Status: http.StatusOK,
	})
	return err
}

// listActs answers a page of acts, the newest first.
func (s *Store) listActs(w http.ResponseWriter, r *http.Request) {
	q, err := acts.QueryOf(r.URL.Query())
	if err != nil {
		refused(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	page, err := acts.List(r.Context(), s.Acts, q)
	if err != nil {
		failed(w, err)
		return
	}
	answer(w, http.StatusOK, page)
}

// heldAnswer keeps an answer until it is released.
type heldAnswer struct {
	http.ResponseWriter
	status int // 0: nothing was written
	body   bytes.Buffer
}

// WriteHeader keeps the status.
func (h *heldAnswer) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

// Write keeps a part of the body.
func (h *heldAnswer) Write(b []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(b)
}

// code is that of an error, as the body has it.
func (h *heldAnswer) code() string {
	var said struct {
		Err string `json:"err"`
	}
	if h.status < 400 || json.Unmarshal(h.body.Bytes(), &said) != nil {
		return ""
	}
	return said.Err
}

func (h *heldAnswer) release() {
	if h.status == 0 {
		return // it panicked
	}
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(h.body.Bytes()) // whoever asked has gone, if it fails
}
