// Package acts notes administrative acts in the event log: who did what, from where,
// and what became of it ([eventlog.Act]). [Recorder.Wrap] stands around the handler of
// an act, behind whatever lets its caller in; [Recorder.List] answers what was done.
//
// An act is noted before its handler runs: what the log does not take is not done. Its
// outcome is noted before the answer leaves. If that fails, or the process ends in
// between, the act stays in the log as one whose outcome is open.
package acts

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// noteTime bounds how long the outcome of an act may take to be noted: whoever asked
// may have gone.
const noteTime = 10 * time.Second

// Log is what is asked of the event log.
type Log interface {
	eventlog.Journal
}

// Recorder notes acts and lists them. All fields are required.
type Recorder struct {
	Log Log
	// AnswerOf returns the answer that an error of a handler becomes.
	AnswerOf func(err error) (status int, code string)
	Logger   *slog.Logger
}

// Spec says what a route does, and what of a request may be told of it. Whatever it does
// not name is not told.
type Spec struct {
	// Name is "<what>.<verb>".
	Name string
	// Objects are what ids are of, by the name of the member of path, query, body or
	// answer that holds them, of the latter two as a dotted path.
	Objects map[string]string
	// Shown and Hidden are members of the body, as dotted paths: those are told with
	// their value, of these only that they were given. URLs are told by scheme and host.
	Shown, Hidden, URLs []string
	// Entry: the act is an entry of the log by itself, and is noted once.
	Entry bool
}

// As returns the same under a name.
func (s Spec) As(name string) Spec {
	s.Name = name
	return s
}

// Wrap returns next with the act noted around it. Error besides next's: the log's;
// nothing was done.
func (r Recorder) Wrap(spec Spec, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		act := eventlog.Act{Act: spec.Name, By: by(c), From: from(c.Request()), Request: edge.From(c.Request().Context()).ID(), Objects: spec.named(c)}
		if !spec.Entry {
			seq, err := r.note(c.Request().Context(), act)
			if err != nil {
				return fmt.Errorf("acts: %s: %w", spec.Name, err)
			}
			act.Asked = seq
		}
		return r.observe(c, spec, act, next)
	}
}

// observe runs the handler and holds its answer back until the outcome is noted.
func (r Recorder) observe(c echo.Context, spec Spec, act eventlog.Act, next echo.HandlerFunc) error {
	body := &tee{ReadCloser: c.Request().Body}
	c.Request().Body = body
	out := c.Response().Writer
	answer := &held{ResponseWriter: out}
	c.Response().Writer = answer
	act.Outcome, act.Status = eventlog.ActFailed, http.StatusInternalServerError // if it panics
	defer func() {
		c.Response().Writer = out
		spec.tell(&act, body.read, answer.body.Bytes())
		r.noteOutcome(c.Request().Context(), act)
		answer.release()
	}()
	err := next(c)
	act.Status = answer.status
	if err != nil {
		act.Status, act.Code = r.AnswerOf(err)
	}
	act.Outcome = outcome(act.Status)
	return err
}

func outcome(status int) string {
	switch {
	case status < 400:
		return eventlog.ActDone
	case status < 500:
		return eventlog.ActRefused
	}
	return eventlog.ActFailed
}

// noteOutcome notes what became of an act, also for one who is not there any more. What
// was done is not undone if it cannot: the answer leaves, and the log of the process tells.
func (r Recorder) noteOutcome(ctx context.Context, act eventlog.Act) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	if _, err := r.note(limited, act); err != nil {
		r.Logger.ErrorContext(ctx, "the outcome of an act could not be noted", "act", act.Act, "outcome", act.Outcome, "err", err)
	}
}

func (r Recorder) note(ctx context.Context, act eventlog.Act) (seq uint64, err error) {
	entry, err := act.Entry()
	if err != nil {
		return 0, err
	}
	done, err := r.Log.Note(ctx, entry)
	if err != nil {
		return 0, err
	}
	return done[0].Seq, nil
}

// by tells who asks: the process at the other end of the Unix socket, who is signed in to
// web pages, else the client of the token.
func by(c echo.Context) eventlog.Actor {
	if p, ok := edge.PeerOf(c.Request().Context()); ok {
		return eventlog.Actor{UID: &p.UID, PID: &p.PID}
	}
	if a, ok := request.Actor(c); ok {
		return a
	}
	p := request.Principal(c)
	if p == nil {
		return eventlog.Actor{}
	}
	return eventlog.Actor{Client: p.Client, Application: p.Application}
}

// Session notes that somebody signed in or out, by how.
func (r Recorder) Session(ctx context.Context, req *http.Request, name string, by eventlog.Actor, how string) error {
	set, err := json.Marshal(how)
	if err != nil {
		return err
	}
	_, err = r.note(ctx, eventlog.Act{
		Act: name, By: by, From: from(req), Request: edge.From(req.Context()).ID(),
		Set: map[string]json.RawMessage{"by": set}, Outcome: eventlog.ActDone, Status: http.StatusOK,
	})
	return err
}

func from(r *http.Request) string {
	if p, ok := edge.PeerOf(r.Context()); ok && p.Own {
		return "command"
	}
	if a := edge.Address(r); a.IsValid() {
		return a.String()
	}
	return "socket"
}
