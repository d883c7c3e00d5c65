package transmitters

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

func (s *suite) createChecks() []conformance.Check {
	return []conformance.Check{
		{
			Name: "create", Title: "creates a stream of each method",
			Decides: []string{
				"SSF-8.1.1.1-01", "SSF-4.1.6-01", "SSF-8.1.1-08", "SSF-6.1.2-01", "SEC-04", "INTEROP-2.3.4-01", "INTEROP-2.3.8.1-01",
			},
			Run: s.checkCreate,
		},
		{
			Name: "create-empty", Title: "creates a stream without saying anything",
			Decides: []string{"SSF-8.1.1.1-02", "SSF-8.1.1.1-04"},
			Run:     s.checkCreateEmpty,
		},
		{
			Name: "create-poll-url", Title: "gives an endpoint_url for poll",
			Decides: []string{"SSF-8.1.1.1-04"},
			Run:     s.checkCreatePollURL,
		},
		{
			Name: "create-wrong", Title: "creates streams in wrong ways",
			Decides: []string{"SSF-8.1.1.1-02", "SSF-8.1.1.1-04", "SSF-6.1.1-01", "SEC-07"},
			Run:     s.checkCreateWrong,
		},
		{
			Name: "create-events", Title: "asks for events that nobody has",
			Decides: []string{"SSF-8.1.1-02"},
			Run:     s.checkCreateEvents,
		},
		{
			Name: "create-plain", Title: "creates a stream without a Content-Type",
			Decides: []string{"SSF-8.1.1-09"},
			Run:     s.checkContentType,
		},
		{
			Name: "create-second", Title: "creates a second stream",
			Decides: []string{"SSF-8.1.1.1-03", "SSF-6.1.2-01", "SSF-8.1.1-10"},
			Run:     s.checkSecond,
		},
	}
}

// checkCreate judges what is answered to a creation.
func (s *suite) checkCreate(ctx context.Context, t *conformance.T) error {
	const secret = "Bearer conformance-of-the-push-1"
	if _, err := s.endpoint(ctx, t, configurationEndpoint); err != nil {
		return err
	}
	m, err := s.metadata(ctx, t)
	if err != nil {
		return err
	}
	for _, method := range s.methods() {
		st, err := s.create(ctx, t, spec{method: method, header: secret})
		if err == nil {
			s.remove(ctx, st.id)
		} else if errors.Is(err, errOneStream) {
			return err
		}
		t.Expect("INTEROP-2.3.8.1-01", err == nil, "got %s for %s, want a stream", orFine(err), methodName(method))
		if m.supports(method) {
			t.Expect("SSF-8.1.1.1-01", err == nil, "got %s for %s, want a stream", orFine(err), methodName(method))
		}
	}
	return s.each(ctx, t, spec{header: secret}, func(st *stream) error {
		t := t.With(st.created.Exchange)
		status := st.created.Status
		t.Expect("INTEROP-2.3.4-01", true, "got a stream, want one")
		t.Expect("SSF-8.1.1.1-01", status == http.StatusCreated, "got %d for a creation, want 201", status)
		t.Expect("SSF-8.1.1.1-01", isJSON(st.created.Header), "got Content-Type %q for a creation, want application/json", st.created.Header.Get("Content-Type"))
		s.checkConfiguration(t, st.config)
		d := st.config.object("delivery")
		t.Expect("SSF-8.1.1.1-01", d == nil || d.text("method") == s.methodOf(st), "got delivery %s, want %s", d["method"], s.methodOf(st))
		t.Expect("SSF-8.1.1-08", noStore(st.created.Header), "got Cache-Control %q, want no-store", st.created.Header.Get("Cache-Control"))
		if d == nil {
			return nil
		}
		if st.hook == nil {
			t.Expect("SSF-6.1.2-01", s.secureText(st.pollURL), "got endpoint_url %s for poll, want an https URL of the transmitter's", d["endpoint_url"])
			return nil
		}
		t.Expect("SSF-8.1.1.1-01", d.text("endpoint_url") == st.hook.url, "got endpoint_url %s for push, want the one that was given", d["endpoint_url"])
		t.Expect("SEC-04", !strings.Contains(string(st.created.Body), secret), "got the authorization_header back in the answer, want it kept")
		return nil
	})
}

// methodOf is what the suite asked for.
func (s *suite) methodOf(st *stream) string {
	if st.hook != nil {
		return delivery.MethodPush
	}
	return delivery.MethodPoll
}

// checkConfiguration judges the members of a stream's configuration that must be there.
func (s *suite) checkConfiguration(t *conformance.T, config object) {
	_, ok := config.audience("aud")
	t.Expect("SSF-8.1.1.1-01", ok, "got aud %s, want a string or an array of strings", config["aud"])
	_, ok = config.texts("events_delivered")
	t.Expect("SSF-8.1.1.1-01", ok, "got events_delivered %s, want an array of URIs", config["events_delivered"])
	t.Expect("SSF-8.1.1.1-01", config.object("delivery") != nil, "got delivery %s, want an object", config["delivery"])
	t.Expect("SSF-4.1.6-01", config.text("iss") == s.cfg.Issuer, "got iss %s in the configuration, want the issuer", config["iss"])
}

// noStore reports whether an answer must not be kept.
func noStore(h http.Header) bool {
	return slices.ContainsFunc(h.Values("Cache-Control"), func(v string) bool { return strings.Contains(strings.ToLower(v), "no-store") })
}
