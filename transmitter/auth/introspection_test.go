package auth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// slow answers introspection requests when it is let.
type slow struct {
	asked  atomic.Int32
	let    chan error
	answer string
}

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked.Add(1)
	select {
	case err := <-s.let:
		if err != nil {
			return nil, err
		}
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(s.answer)), Request: r}, nil
}

// slowly is a desk whose tokens the issuer is asked about and answers when it is let.
func slowly(t *testing.T) (*desk, *slow) {
	t.Helper()
	s := &slow{answer: `{"active":true,"aud":"` + api + `","client_id":"shop","scope":"ssf.manage","token_type":"Bearer"}`}
	d, _ := abroad(t, func(e *auth.External) {
		e.Introspection = &auth.Introspection{
			URL:      func(context.Context) (string, error) { return theirs + "/introspect", nil },
			ClientID: "tocsin", ClientSecret: "s3cret", HTTP: &http.Client{Transport: s},
		}
	})
	return d, s
}

// Requests with one token ask the issuer once, whoever of them leaves meanwhile; those with
// another ask for themselves.
func TestIntrospectionOnce(t *testing.T) {
	d, s := slowly(t)
	synctest.Test(t, func(t *testing.T) {
		s.let = make(chan error) // of the bubble
		ask := func(ctx context.Context, token string, to chan error) {
			_, err := d.Authenticate(ctx, []string{"Bearer " + token})
			to <- err
		}
		const many = 50
		first, leave := context.WithCancel(t.Context())
		left, others, alone := make(chan error, 1), make(chan error, many), make(chan error, 1)
		go ask(first, "kept", left)
		synctest.Wait()
		for range many {
			go ask(t.Context(), "kept", others)
		}
		go ask(t.Context(), "another", alone)
		synctest.Wait()
		if got := s.asked.Load(); got != 2 {
			t.Errorf("got %d questions, want one for each token", got)
		}
		leave() // the one that asked
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who left: got %v, want canceled", err)
		}
		synctest.Wait()
		s.let <- nil
		s.let <- nil
		for range many {
			if err := <-others; err != nil {
				t.Errorf("who waited: got %v, want the token good", err)
			}
		}
		if err := <-alone; err != nil {
			t.Errorf("another token: got %v, want it good", err)
		}
		go ask(t.Context(), "kept", alone)
		if err := <-alone; err != nil || s.asked.Load() != 2 {
			t.Errorf("afterwards: got %v after %d questions, want it good without one more", err, s.asked.Load())
		}
	})
}

// All leave, and the answer that comes then is kept all the same.
func TestIntrospectionLeft(t *testing.T) {
	d, s := slowly(t)
	synctest.Test(t, func(t *testing.T) {
		s.let = make(chan error) // of the bubble
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := d.Authenticate(ctx, []string{"Bearer kept"})
			left <- err
		}()
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who left: got %v, want canceled", err)
		}
		s.let <- nil
		synctest.Wait()
		if _, err := d.ask(t, "kept"); err != nil || s.asked.Load() != 1 {
			t.Errorf("got %v after %d questions, want it good after one", err, s.asked.Load())
		}
	})
}

// A failure is told to all who wait and kept for nobody; an issuer that does not answer is
// given up after a while.
func TestIntrospectionFails(t *testing.T) {
	d, s := slowly(t)
	synctest.Test(t, func(t *testing.T) {
		s.let = make(chan error) // of the bubble
		answers := make(chan error, 3)
		ask := func() {
			_, err := d.Authenticate(t.Context(), []string{"Bearer kept"})
			answers <- err
		}
		down := errors.New("connection refused")
		for range cap(answers) {
			go ask()
		}
		synctest.Wait()
		s.let <- down
		for range cap(answers) {
			if err := <-answers; !errors.Is(err, down) {
				t.Errorf("got %v, want the failure", err)
			}
		}
		go ask()
		synctest.Wait()
		if got := s.asked.Load(); got != 2 {
			t.Errorf("got %d questions, want another behind the failure", got)
		}
		begun := time.Now()
		if err := <-answers; !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > time.Minute {
			t.Errorf("no answer: got %v after %v, want it given up", err, time.Since(begun))
		}
		s.answer = strings.Replace(s.answer, "true", "false", 1)
		for range 2 {
			go ask()
			synctest.Wait()
			select {
			case s.let <- nil:
			default:
			}
			var refused *auth.Error
			if err := <-answers; !errors.As(err, &refused) {
				t.Errorf("got %v, want it refused", err)
			}
		}
		if got := s.asked.Load(); got != 3 {
			t.Errorf("got %d questions, want that it was refused kept", got)
		}
	})
}
