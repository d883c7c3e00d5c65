package console

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	standing "github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Signals are what is heard of people who have signed in with the provider: that a
// session of theirs has ended, that their account is disabled.
type Signals struct {
	// Gate says whether a session is still good; required. It is asked with each page,
	// and once a second for what goes on in a session ([Console.Watch]).
	Gate *standing.Gate
	// Issuers are further iss by which signals name whom the provider calls sub.
	Issuers []string
	// Deaf says why signals are not heard now, for people to read; "": they are. meant
	// reports whether they are to be, so that it is a fault. nil: they always are heard.
	Deaf func(ctx context.Context) (why string, meant bool)
}

// watchEvery is how often sessions are looked at that nobody asks a page of.
const watchEvery = time.Second

// bearer returns what a session is known by to those who tell of its end: iss and sub,
// the addresses of the ID token, and sid. It began when the token was issued, by the same
// clock as the times of signals.
//
// An address need not be verified: it is the provider's word about its own user, and
// lets nobody in.
func (p person) bearer(issuers []string) standing.Bearer {
	user := []subject.Identifier{subject.Opaque(p.Subject)}
	for _, iss := range append([]string{p.Issuer}, issuers...) {
		user = append(user, subject.IssSub(iss, p.Subject))
	}
	if p.Email != "" {
		user = append(user, subject.Email(p.Email))
	}
	if p.Phone != "" {
		user = append(user, subject.Phone(p.Phone))
	}
	members := map[string][]subject.Identifier{subject.MemberUser: user}
	if p.SessionID != "" {
		members[subject.MemberSession] = []subject.Identifier{subject.Opaque(p.SessionID)}
	}
	return standing.Session{Members: members, Begun: time.UnixMicro(int64(p.IssuedAt * 1e6))}.Bearer()
}

// verdict is what the provider's signals say of a session; Good of one that is none of
// theirs.
func (c *Console) verdict(s *session) standing.Verdict {
	if s.bearer == nil || c.oidc == nil || c.oidc.Signals == nil {
		return standing.Good
	}
	return c.oidc.Signals.Gate.Bearer(*s.bearer)
}

// over reports whether signals have ended a session for good.
func over(v standing.Verdict) bool { return v == standing.Revoked || v == standing.Denied }

// Failures to tell, or to let in, by what signals say.
var (
	errUnsure = &failure{
		status: http.StatusServiceUnavailable, title: "Not now",
		text: "It cannot be told whether your organisation has ended this session, so nothing was done. Try again in a moment; tocsin console signs you in without it.",
	}
	errEndedBefore = &failure{
		status: http.StatusForbidden, title: "Not signed in",
		text: "Your organisation has ended this sign-in while it was under way. Begin again.",
	}
	errDenied = &failure{
		status: http.StatusForbidden, title: "Not let in",
		text: "Your organisation has told that your account is disabled, or no longer yours alone.",
	}
)

// unfit returns why somebody is not let in though their ID token is good; nil: they are.
func unfit(v standing.Verdict) error {
	switch v {
	case standing.Revoked:
		return errEndedBefore
	case standing.Denied:
		return errDenied
	case standing.Unknown:
		return errUnsure
	}
	return nil
}

// Watch ends the sessions that signals say are over, within about a second, and with them
// their live pages, until ctx ends. It may be left out where no signals are heard.
func (c *Console) Watch(ctx context.Context) error {
	if c.oidc == nil || c.oidc.Signals == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		c.noteEnded(ctx, c.sessions.revoke(func(s *session) bool { return over(c.verdict(s)) }))
	}
}

// noteEnded tells of sessions that signals have ended; of whom, the audit has who signed
// in, and the transmitter of the provider its events.
func (c *Console) noteEnded(ctx context.Context, n int) {
	if n == 0 {
		return // somebody else has told
	}
	c.ended.Add(float64(n))
	c.cfg.Logger.InfoContext(ctx, "sessions of the console were ended by a signal of the OpenID Provider", "count", n)
}

// deaf returns why the provider's signals are not heard, and whether that is a fault; "":
// they are, or no such person signs in.
func (c *Console) deaf(ctx context.Context) (why string, fault bool) {
	if c.oidc == nil || c.oidc.Signals == nil || c.oidc.Signals.Deaf == nil {
		return "", false
	}
	return c.oidc.Signals.Deaf(ctx)
}

func newEnded() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_console_sessions_ended_total", Help: "Sessions of the console that signals of the OpenID Provider ended.",
	})
}

// Describe implements [prometheus.Collector].
func (c *Console) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.ended.Desc()
	ch <- sessionsDesc
	ch <- heardDesc
}

var (
	sessionsDesc = prometheus.NewDesc("tocsin_console_sessions", "Sessions of the console.", nil, nil)
	heardDesc    = prometheus.NewDesc("tocsin_console_signals_heard", "1 if the signals of the OpenID Provider that end sessions of the console are heard, or none are meant to be.", nil, nil)
)

// Collect implements [prometheus.Collector].
func (c *Console) Collect(ch chan<- prometheus.Metric) {
	ch <- c.ended
	ch <- prometheus.MustNewConstMetric(sessionsDesc, prometheus.GaugeValue, float64(c.sessions.count()))
	heard := 1.0
	if why, fault := c.deaf(context.Background()); why != "" && fault {
		heard = 0
	}
	ch <- prometheus.MustNewConstMetric(heardDesc, prometheus.GaugeValue, heard)
}
