package peer

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// trusting returns a client that checks no certificate: a break.
func trusting() *http.Client {
	return &http.Client{
		Timeout:       DefaultLongPoll,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}, //nolint:gosec // it is what the break is
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func errNoStream(id string) error { return fmt.Errorf("peer: no stream %s", id) }

// Run pushes until ctx ends, one SET of a stream at a time, and pauses streams whose
// receiver shows no activity. It returns nil when all pushes have ended.
func (t *Transmitter) Run(ctx context.Context) error {
	var pushes sync.WaitGroup
	defer pushes.Wait()
	for ctx.Err() == nil {
		t.state.Lock()
		wake, next := t.wake, time.Now().Add(time.Second)
		for _, s := range t.streams {
			if at := t.tend(ctx, s, &pushes); at.Before(next) {
				next = at
			}
		}
		t.state.Unlock()
		timer := time.NewTimer(time.Until(next))
		select {
		case <-wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// tend begins what is due of a stream and returns when to look again; under state.
func (t *Transmitter) tend(ctx context.Context, s *stream, pushes *sync.WaitGroup) time.Time {
	now := time.Now()
	if n := t.cfg.InactivityTimeout; n > 0 && s.status == streams.Enabled && now.Sub(s.active) > n {
		t.impose(s, streams.Paused, "no activity")
	}
	later := now.Add(time.Second)
	if s.pushing || s.method != delivery.MethodPush {
		return later
	}
	if now.Before(s.due) {
		return s.due
	}
	ready := t.ready(s)
	if len(ready) == 0 {
		return later
	}
	i := ready[0]
	s.pushing = true
	i.attempts++
	alter := t.conduct.pushes
	endpoint, authorization := s.endpoint, s.authorization
	if t.conduct.forgetsAuthorization {
		authorization = ""
	}
	pushes.Go(func() {
		status, code, after := t.push(ctx, s.id, i, endpoint, authorization, alter)
		t.state.Lock()
		defer t.state.Unlock()
		s.pushing = false
		t.settle(s, i, status, code, after)
		t.nudge()
	})
	return later
}

// ready returns what a stream may deliver now, in order; under state.
func (t *Transmitter) ready(s *stream) []*item {
	all := slices.Concat(s.control, s.events)
	if t.conduct.updateLate {
		all = slices.Concat(s.events, s.control)
	}
	if t.conduct.unordered {
		slices.Reverse(all)
	}
	now := time.Now()
	return slices.DeleteFunc(all, func(i *item) bool {
		open := s.status == streams.Enabled || t.conduct.stopsNever || i.always
		return !open || now.Before(i.out)
	})
}

// pusher makes the requests.
func (t *Transmitter) pusher() *http.Client {
	t.state.Lock()
	defer t.state.Unlock()
	if t.conduct.anyCertificate {
		return trusting()
	}
	return t.cfg.HTTP
}

// push sends one SET and returns the status, 0 if no answer came, the error code of a
// 400 and for how long not to try again.
func (t *Transmitter) push(ctx context.Context, stream string, i *item, endpoint, authorization string, alter []func(*Transmitter, *http.Request)) (status int, code delivery.Code, after time.Duration) {
	e := Exchange{Op: OpPush, Began: time.Now(), StreamID: stream, ID: i.id, Method: http.MethodPost, URL: endpoint, RequestBody: i.compact}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(i.compact))
	if err != nil {
		return 0, "", 0
	}
	req.Header.Set("Content-Type", delivery.MediaType)
	req.Header.Set("Accept", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	for _, f := range alter {
		f(t, req)
	}
	e.Method, e.RequestHeader = req.Method, hidden(req.Header)
	resp, err := t.pusher().Do(req)
	e.Took = time.Since(e.Began)
	if err != nil {
		if ctx.Err() != nil {
			return 0, "", 0
		}
		e.Err = err.Error()
		t.journal.add(e)
		return 0, "", 0
	}
	body, err := readAll(resp.Body, MaxAnswerBytes)
	_ = resp.Body.Close()
	if err != nil {
		e.Err = "the answer ended early"
	}
	e.Took, e.Status, e.ResponseHeader, e.ResponseBody = time.Since(e.Began), resp.StatusCode, resp.Header, string(body)
	t.journal.add(e)
	if failure, ok := delivery.ParseFailure(body); ok {
		code = failure.Err
	}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		after = min(time.Duration(n)*time.Second, maxRetry)
	}
	return resp.StatusCode, code, after
}

// settle decides what becomes of a SET after a push (RFC 8935 §2.4, §4); under state.
func (t *Transmitter) settle(s *stream, i *item, status int, code delivery.Code, after time.Duration) {
	switch {
	case t.conduct.chokes && status == http.StatusBadRequest && !code.Known():
		s.due = time.Now().Add(time.Hour)
		return
	case status/100 == 2 && t.conduct.storms && i.attempts < t.cfg.Attempts:
		s.due = time.Now().Add(t.cfg.Retry)
		return
	case status/100 == 2, t.conduct.noRetry, !t.conduct.stubborn && (t.final(status, code) || i.attempts >= t.cfg.Attempts):
		s.drop(i.id)
		s.due = time.Time{}
		return
	case t.conduct.stubborn:
		s.due = time.Now().Add(time.Millisecond)
		return
	}
	pause := t.cfg.Retry << min(i.attempts-1, 10)
	s.due = time.Now().Add(min(max(pause, after), maxRetry))
}

// final reports whether sending a SET again mends nothing.
func (t *Transmitter) final(status int, code delivery.Code) bool {
	switch status {
	case http.StatusBadRequest:
		switch code {
		case delivery.CodeAuthenticationFailed, delivery.CodeAccessDenied, delivery.CodeInvalidKey:
			return t.cfg.FinalRefusals
		}
		return true
	case http.StatusGone, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return true
	}
	return false
}

// drop takes a SET from the queue, and tells whether it was there.
func (s *stream) drop(id string) bool {
	n := len(s.control) + len(s.events)
	is := func(i *item) bool { return i.id == id }
	s.control, s.events = slices.DeleteFunc(s.control, is), slices.DeleteFunc(s.events, is)
	return len(s.control)+len(s.events) < n
}
