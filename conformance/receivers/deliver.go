package receivers

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/peer"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// prompt is how long the answer to a push may take (PUSH-2-02).
const prompt = 2 * time.Second

// fields reads a JSON object; nil if it is none.
func fields(body string) object {
	var o object
	if json.Unmarshal([]byte(body), &o) != nil {
		return nil
	}
	return o
}

// pushes are the checks of the push endpoint.
func (s *suite) pushes() []conformance.Check {
	return []conformance.Check{
		s.at(push, "answers", "looks at the answers to pushes", []string{"PUSH-2.2-01", "PUSH-2-02", "PUSH-2.3-01", "PUSH-2.3-02", "PUSH-2.4-01"}, s.pushAnswers),
		s.at(push, "conditions", "sends pushes that are none", []string{"PUSH-2.3-03"}, s.pushConditions),
		s.at(push, "credentials", "sends pushes without the Authorization header", []string{"PUSH-2-01"}, s.pushCredentials),
		s.at(push, "repeats", "pushes SETs again", repeated(push), s.repeats),
		s.critical(push),
		s.at(push, "tls", "speaks an old TLS to the push endpoint", []string{"PUSH-5.3-01"}, s.oldTLS),
	}
}

// pushAnswers looks at one success and at refusals (RFC 8935 §2.2, §2.3).
func (s *suite) pushAnswers(ctx context.Context, t *conformance.T, at *site) error {
	if err := at.peer.Misbehave("french", "no-accept"); err != nil {
		return err
	}
	first, err := at.send(ctx, event())
	if err != nil {
		return err
	}
	list, err := at.all(ctx, []probe{
		{what: "iss of another", with: []string{"wrong-iss"}},
		{what: "aud of another", with: []string{"wrong-aud"}},
		{what: "a bad signature", with: []string{"SET-5.1-01"}},
		{what: "no JWT", with: []string{"no-jwt"}},
	})
	if behave := at.peer.Misbehave(); behave != nil || err != nil {
		return errors.Join(behave, err)
	}
	e := first.Verdict.Exchange
	if e.Status == 0 {
		return fmt.Errorf("the receiver gave no answer in %v", s.cfg.Wait)
	}
	shown := at.shown(t, e)
	shown.Expect("PUSH-2.2-01", e.Status == http.StatusAccepted && e.ResponseBody == "", "got %d with %d bytes for a good SET, want 202 without a body", e.Status, len(e.ResponseBody))
	shown.Expect("PUSH-2-02", e.Took < prompt, "got the answer after %v, want it at once, before hooks", e.Took.Round(time.Millisecond))
	for _, v := range list {
		e := v.Verdict.Exchange
		if e.Status == 0 {
			return fmt.Errorf("the receiver gave no answer to %s in %v", v.what, s.cfg.Wait)
		}
		shown := at.shown(t, e)
		body := fields(e.ResponseBody)
		code, hasCode := body["err"].(string)
		_, hasText := body["description"].(string)
		media, language := e.ResponseHeader.Get("Content-Type"), e.ResponseHeader.Get("Content-Language")
		good := e.Status == http.StatusBadRequest && strings.HasPrefix(media, "application/json") && hasCode && hasText && language != ""
		shown.Expect("PUSH-2.3-01", good, "got %d, Content-Type %q, Content-Language %q and %.80q for %s, want 400 with JSON {err, description} and Content-Language", e.Status, media, language, e.ResponseBody, v.what)
		if language != "" {
			shown.Expect("PUSH-2.3-02", strings.HasPrefix(language, "en") || strings.HasPrefix(language, "fr"), "got texts in %s where French or any was asked for, want English or French", language)
		}
		if hasCode {
			shown.Expect("PUSH-2.4-01", delivery.Code(code).Known(), "got the code %q for %s, want one of RFC 8935 §2.4", code, v.what)
		}
	}
	return nil
}

// pushConditions sends requests that are no pushes (PUSH-2.3-03).
func (s *suite) pushConditions(ctx context.Context, t *conformance.T, at *site) error {
	for _, c := range []struct {
		name string
		want []int
	}{
		{"get-pushes", []int{http.StatusMethodNotAllowed}},
		{"text-pushes", []int{http.StatusUnsupportedMediaType}},
		{"", []int{http.StatusRequestEntityTooLarge, http.StatusBadRequest}},
	} {
		var breaks, with []string
		if c.name == "" {
			with = []string{"huge"}
		} else {
			breaks = []string{c.name}
		}
		if err := at.peer.Misbehave(breaks...); err != nil {
			return err
		}
		v, err := at.send(ctx, event(), with...)
		if behave := at.peer.Misbehave(); behave != nil || err != nil {
			return err
		}
		e := v.Verdict.Exchange
		good := e.Status == c.want[0] || len(c.want) > 1 && e.Status == c.want[1] || c.name == "" && e.Status == 0
		at.shown(t, e).Expect("PUSH-2.3-03", good, "got %s for %s, want %d", told(v), described(c.name), c.want[0])
	}
	v, err := at.send(ctx, event())
	if err == nil {
		at.shown(t, v.Verdict.Exchange).Expect("PUSH-2.3-03", v.Accepted, "got %s for a good SET behind them, want it taken", told(v))
	}
	return err
}

func described(name string) string {
	switch name {
	case "get-pushes":
		return "a GET"
	case "text-pushes":
		return "a push of text/plain"
	}
	return "a SET of 3 MiB"
}

// pushCredentials leaves out or changes the Authorization header that the receiver gave.
func (s *suite) pushCredentials(ctx context.Context, t *conformance.T, at *site) error {
	given := false
	for _, one := range at.peer.Streams() {
		given = given || one.ID == at.stream && one.Authorization
	}
	if !given {
		t.Skip("PUSH-2-01", "the receiver gave no authorization_header")
		return nil
	}
	for _, name := range []string{"no-authorization", "wrong-authorization"} {
		if err := at.peer.Misbehave(name); err != nil {
			return err
		}
		v, err := at.send(ctx, event())
		if behave := at.peer.Misbehave(); behave != nil || err != nil {
			return err
		}
		if v.Accepted {
			at.shown(t, v.Verdict.Exchange).Expect("PUSH-2-01", false, "got %s for a push with %s, want it refused", told(v), strings.ReplaceAll(name, "-", " "))
			return nil
		}
		if dead, err := at.takesNothing(ctx); err != nil || dead != "" {
			t.Skip("PUSH-2-01", "got %s for a push with %s, and %s", told(v), strings.ReplaceAll(name, "-", " "), dead)
			return err
		}
		at.shown(t, v.Verdict.Exchange).Expect("PUSH-2-01", true, "got %s for a push with %s, and good ones taken", told(v), strings.ReplaceAll(name, "-", " "))
	}
	return nil
}

// oldTLS offers TLS 1.1 alone (PUSH-5.3-01).
func (s *suite) oldTLS(ctx context.Context, t *conformance.T, at *site) error {
	u, err := url.Parse(at.last(peer.OpPush).URL)
	if err != nil || u.Scheme != "https" {
		t.Skip("PUSH-5.3-01", "the push endpoint is plain http")
		return nil
	}
	host := u.Host
	if u.Port() == "" {
		host += ":443"
	}
	limited, cancel := context.WithTimeout(ctx, s.cfg.Wait)
	defer cancel()
	shakes := func(from, to uint16) error {
		d := &tls.Dialer{Config: &tls.Config{MinVersion: from, MaxVersion: to, InsecureSkipVerify: true}} //nolint:gosec // nothing is sent
		conn, err := d.DialContext(limited, "tcp", host)
		if conn != nil {
			_ = conn.Close()
		}
		return err
	}
	refused := shakes(tls.VersionTLS10, tls.VersionTLS11)
	if err := shakes(tls.VersionTLS12, tls.VersionTLS13); err != nil { // behind it: who is not there refuses nothing
		return fmt.Errorf("no handshake with the push endpoint succeeds: %w", err)
	}
	t.Expect("PUSH-5.3-01", refused != nil, "got a handshake of TLS 1.1 or older done or not, want it refused")
	return nil
}

// repeated are what SETs decide that come again.
func repeated(method string) []string {
	if method == push {
		return []string{"PUSH-2-03", "SEC-06", "SEC-05"}
	}
	return []string{"POLL-2.4-02", "SEC-06", "SEC-05"}
}

// repeats sends a SET again, and looks at what was done about it and about a forged one,
// where somebody can tell.
func (s *suite) repeats(ctx context.Context, t *conformance.T, at *site) error {
	again := repeated(at.method)[0]
	first, err := at.send(ctx, event())
	if err != nil {
		return err
	}
	if !first.Accepted {
		return fmt.Errorf("the receiver took no SET: %s", told(first))
	}
	forged, err := at.send(ctx, event(), "SET-5.1-01")
	if err != nil {
		return err
	}
	for range 2 {
		v, err := at.again(ctx, first)
		if err != nil {
			return err
		}
		at.shown(t, v.Verdict.Exchange).Expect(again, v.Accepted == first.Accepted, "got %s for a SET that comes again, want %s as before", told(v), told(first))
	}
	if s.cfg.Observe == nil {
		t.Skip("SEC-06", "nobody can tell what the receiver did (no observer)")
		t.Skip("SEC-05", "nobody can tell what the receiver did (no observer)")
		return nil
	}
	if err := wait(ctx, s.cfg.Quiet); err != nil {
		return err
	}
	times, err := at.observe(ctx, first.id)
	if err != nil {
		return err
	}
	shown := at.shown(t, first.Verdict.Exchange)
	shown.Expect("SEC-06", times == 1, "got a SET that came three times acted upon %d times, want once", times)
	if times, err = at.observe(ctx, forged.id); err == nil {
		at.shown(t, forged.Verdict.Exchange).Expect("SEC-05", times == 0, "got a forged SET acted upon %d times, want never", times)
	}
	return err
}

// critical is the check of a subject with a member that the metadata calls critical and
// nobody can know: it is discarded (SSF §3.6).
func (s *suite) critical(method string) conformance.Check {
	const id = "SSF-3.6-01"
	return s.at(method, "critical-subject", "sends an event about a subject with a critical member that nobody knows", []string{id}, func(ctx context.Context, t *conformance.T, at *site) error {
		v, err := at.send(ctx, event(), "critical-subject")
		if err != nil {
			return err
		}
		shown := at.shown(t, v.Verdict.Exchange)
		switch {
		case v.Refused:
			shown.Expect(id, true, "got %s, which discards it", told(v))
			return nil
		case s.cfg.Observe == nil:
			t.Skip(id, "nobody can tell what the receiver did (no observer)")
			return nil
		}
		if err := wait(ctx, s.cfg.Quiet); err != nil {
			return err
		}
		times, err := at.observe(ctx, v.id)
		if err == nil {
			shown.Expect(id, times == 0, "got the event acted upon %d times, want it discarded", times)
		}
		return err
	})
}

// again sends a SET once more, byte for byte.
func (at *site) again(ctx context.Context, v verdict) (verdict, error) {
	compact := at.peer.Compact(v.id)
	list, err := at.all(ctx, []probe{{what: v.what, sent: func() (string, error) {
		at.peer.Resend(at.stream, v.id, compact)
		return v.id, nil
	}}})
	if err != nil {
		return verdict{}, err
	}
	return list[0], nil
}
