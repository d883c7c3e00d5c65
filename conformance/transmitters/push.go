package transmitters

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

func (s *suite) pushChecks() []conformance.Check {
	return []conformance.Check{
		{
			Name: "push", Title: "looks at the requests of pushes",
			Decides: []string{"PUSH-2.1-01", "SSF-6.1.1-02"},
			Run:     s.checkPush,
		},
		{
			Name: "push-refused", Title: "refuses a SET",
			Decides: []string{"PUSH-2-05", "PUSH-2.4-01"},
			Run:     s.checkRefused,
		},
		{
			Name: "push-again", Title: "is not there for a SET",
			Decides: []string{"PUSH-4-01", "PUSH-2-05"},
			Run:     s.checkPushAgain,
		},
		{
			Name: "push-redirect", Title: "answers a push with a redirect",
			Decides: []string{"SEC-01"},
			Run:     s.checkRedirect,
		},
		{
			Name: "push-certificate", Title: "takes pushes with a certificate that nobody trusts",
			Decides: []string{"PUSH-3-01"},
			Run:     s.checkCertificate,
		},
		{
			Name: "tls", Title: "connects by an old TLS",
			Decides: []string{"PUSH-5.3-01", "POLL-4.3-01", "INTEROP-2.1-01"},
			Run:     s.checkTLS,
		},
	}
}

var errNoPush = errors.New("push is not tested")

// usingPush makes a stream for push.
func (s *suite) usingPush(ctx context.Context, t *conformance.T, header string, fn func(*stream) error) error {
	if !s.cfg.Push {
		return errNoPush
	}
	return s.using(ctx, t, spec{method: delivery.MethodPush, header: header}, fn)
}

func (s *suite) checkPush(ctx context.Context, t *conformance.T) error {
	for _, header := range []string{"", "Bearer conformance-Of-the_push.2==", "Basic Y29uZm9ybWFuY2U6c3VpdGU="} {
		err := s.usingPush(ctx, t, header, func(st *stream) error {
			got, err := s.verification(ctx, t, st)
			if err != nil {
				return err
			}
			t := t.With(got.exchange)
			values := got.push.header.Values("Authorization")
			if header == "" {
				t.Expect("SSF-6.1.1-02", len(values) == 0, "got an Authorization header in a push, want none, since none was given")
			} else {
				t.Expect("SSF-6.1.1-02", len(values) == 1 && values[0] == header, "got another Authorization header in a push than was given, or none, want it as it is")
			}
			s.checkPushRequest(t, got)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) checkPushRequest(t *conformance.T, got *token) {
	h := got.push.header
	t.Expect("PUSH-2.1-01", got.push.method == http.MethodPost, "got a push by %s, want POST", got.push.method)
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	t.Expect("PUSH-2.1-01", strings.EqualFold(strings.TrimSpace(media), delivery.MediaType), "got Content-Type %q of a push, want %s", h.Get("Content-Type"), delivery.MediaType)
	t.Expect("PUSH-2.1-01", strings.Contains(strings.ToLower(h.Get("Accept")), "application/json"), "got Accept %q of a push, want application/json", h.Get("Accept"))
	t.Expect("PUSH-2.1-01", got.err == nil && string(got.push.body) == got.compact, "got a body that is not a SET alone: %v", got.err)
}

// refusal is the answer to a SET that is refused.
func refusal(code string) reply {
	return reply{
		status: http.StatusBadRequest, header: http.Header{"Content-Type": {"application/json"}},
		body: fmt.Sprintf(`{"err":%q,"description":"refused by the conformance suite"}`, code),
	}
}

func (s *suite) checkRefused(ctx context.Context, t *conformance.T) error {
	for _, code := range []string{"invalid_request", "tocsin_unheard_of"} {
		err := s.usingPush(ctx, t, "", func(st *stream) error {
			st.hook.answer(func(n int) reply {
				if n == 0 {
					return refusal(code)
				}
				return reply{}
			})
			refused, err := s.verification(ctx, t, st)
			if err != nil {
				return err
			}
			again, err := s.silent(ctx, t, st, func(one *token) bool { return one.jti() == refused.jti() })
			if err != nil {
				return err
			}
			if code == "invalid_request" {
				e := append([]conformance.Exchange{refused.exchange}, exchanges(again)...)
				t.With(e...).Expect("PUSH-2-05", again == nil, "got a SET again that was refused as %s, want it given up", code)
			}
			next, err := s.verification(ctx, t, st)
			if err != nil && !errors.Is(err, errNoVerification) {
				return err
			}
			t.With(refused.exchange).Expect("PUSH-2.4-01", next != nil, "got %s after a SET was refused with %s, want the next one all the same", orFine(err), code)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func exchanges(one *token) []conformance.Exchange {
	if one == nil {
		return nil
	}
	return []conformance.Exchange{one.exchange}
}

// hammering is as often as a SET may come again within the quiet time.
const hammering = 10

func (s *suite) checkPushAgain(ctx context.Context, t *conformance.T) error {
	return s.usingPush(ctx, t, "", func(st *stream) error {
		st.hook.answer(func(int) reply { return reply{status: http.StatusServiceUnavailable} })
		first, err := s.verification(ctx, t, st)
		if err != nil {
			return err
		}
		is := func(one *token) bool { return one.jti() == first.jti() }
		again, err := s.next(ctx, t, st, s.cfg.Wait, is)
		if err != nil && !errors.Is(err, errNoSET) {
			return err
		}
		if !t.With(first.exchange).Expect("PUSH-4-01", again != nil, "got no SET again within %v of a 503, want it", s.cfg.Wait) {
			return nil
		}
		t.With(first.exchange, again.exchange).Expect("PUSH-4-01", again.compact == first.compact || same(again.rawClaims, first.rawClaims), "got another SET after a 503, want the same")
		n := 0
		for until := time.Now().Add(s.cfg.Quiet); time.Now().Before(until) && n <= hammering; n++ {
			if _, err := s.next(ctx, t, st, time.Until(until), is); err != nil {
				break
			}
		}
		t.Last(2).Expect("PUSH-2-05", n <= hammering, "got more than %d attempts within %v while the receiver answers 503, want growing pauses", hammering, s.cfg.Quiet)
		return nil
	})
}

func (s *suite) checkRedirect(ctx context.Context, t *conformance.T) error {
	return s.usingPush(ctx, t, "", func(st *stream) error {
		other := s.sink.hook()
		st.hook.answer(func(int) reply {
			return reply{status: http.StatusTemporaryRedirect, header: http.Header{"Location": {other.url}}}
		})
		first, err := s.verification(ctx, t, st)
		if err != nil {
			return err
		}
		select {
		case p := <-other.got:
			t.With(first.exchange, p.exchange).Expect("SEC-01", false, "got a push at where a redirect led, want none followed")
		case <-time.After(s.cfg.Quiet):
			t.With(first.exchange).Expect("SEC-01", true, "no redirect is followed")
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	})
}

// checkCertificate serves pushes with a certificate of its own making. It can be reached
// only by a transmitter on the same machine.
func (s *suite) checkCertificate(ctx context.Context, t *conformance.T) error {
	if !s.cfg.Push {
		return errNoPush
	}
	if !s.cfg.InsecureLoopback {
		return errors.New("another listener of the suite can be reached on loopback alone")
	}
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	own := newSink("https://"+listener.Addr().String(), &s.mask)
	stop := own.serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}))
	defer stop()
	h := own.hook()
	st, err := s.createWith(ctx, t, s.body(spec{method: delivery.MethodPush, events: []string{}}, h))
	if err != nil {
		return fmt.Errorf("pushing to it is refused from the beginning: %w", err)
	}
	defer s.remove(ctx, st.id)
	asked, err := s.verify(ctx, t, st, nil)
	if err != nil {
		return err
	}
	select {
	case p := <-h.got:
		t.With(asked.Exchange, p.exchange).Expect("PUSH-3-01", false, "got a push by TLS with a certificate that nobody trusts, want none")
	case <-time.After(s.cfg.Quiet):
		t.With(asked.Exchange).Expect("PUSH-3-01", true, "nothing is pushed to a certificate that nobody trusts")
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (s *suite) checkTLS(ctx context.Context, t *conformance.T) error {
	u, err := url.Parse(s.cfg.Issuer)
	if err != nil || u.Scheme != "https" {
		return errors.New("the transmitter is not served by TLS")
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "443")
	}
	// What is asked is the version alone; nothing is sent, so the certificate is not looked at.
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: s.cfg.Wait},
		Config:    &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, ServerName: u.Hostname(), InsecureSkipVerify: true},
	}
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err == nil {
		_ = conn.Close() // it is an empty connection
	}
	for _, id := range []string{"PUSH-5.3-01", "POLL-4.3-01", "INTEROP-2.1-01"} {
		t.With().Expect(id, err != nil, "got a connection by TLS 1.1 or older, want TLS 1.2 at least")
	}
	return nil
}
