package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// Bounds of a running transmitter.
const (
	oldKey      = 180 * 24 * time.Hour // of a key that signs
	longUnused  = 30 * 24 * time.Hour  // of a key that is still published
	longWait    = 15 * time.Minute     // of the oldest SET on a queue
	silentPolls = 3                    // intervals without a page of a vendor
	farBehind   = 10_000               // records that the index has yet to read
)

// Transmitter says how a transmitter is to be asked that runs on a data folder.
type Transmitter struct {
	API  *adminapi.Client
	Data string // for the commands that are told
	// Push is the policy of its pushes; KnownPush: it is its own, and not a guess.
	Push      guard.Policy
	KnownPush bool
	// RotateEvery is how often it replaces its signing key; zero: never, or not known.
	RotateEvery time.Duration
	// Held are the ids of the keys that its signer has; nil: not known, or it has none.
	Held []string
	Now  func() time.Time
}

// Look asks a running transmitter about its readiness, keys, streams, webhooks, sources
// and index, and tries each endpoint that it pushes to, or would. The error says that it could not
// be asked.
func (t Transmitter) Look(ctx context.Context, r *Report) error {
	var said []byte
	switch err := t.API.Do(ctx, http.MethodGet, "/readyz", nil, &said); {
	case err != nil:
		r.Fail("running.ready", "", "look into its log; a store does not answer, or it ends", "the server takes no work: %v", err)
	case bytes.Contains(said, []byte("signer is away")):
		r.Fail("running.ready", "", "look at the process of tocsin signer and its log; tocsin doctor serve looks at its socket", "the signer is away: the server takes events, and sends none")
	default:
		r.OK("running.ready", "", "the server takes work")
	}
	for _, look := range []func(context.Context, *Report) error{t.keys, t.index, t.sources, t.streams} {
		if err := look(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// refused reports whether the server does not offer what it was asked.
func refused(err error) bool {
	said, ok := errors.AsType[*adminapi.Error](err)
	return ok && said.Status == http.StatusNotImplemented
}

func (t Transmitter) keys(ctx context.Context, r *Report) error {
	var list []struct {
		ID       string    `json:"kid"`
		Created  time.Time `json:"created"`
		LastUsed time.Time `json:"last_used"`
		Current  bool      `json:"current"`
		Next     bool      `json:"next"`
		// Of keys that a signer has.
		Elsewhere bool `json:"elsewhere"`
		Announced bool `json:"announced"`
	}
	if err := t.API.Do(ctx, http.MethodGet, "/admin/keys", nil, &list); err != nil {
		return fmt.Errorf("asking for the keys: %w", err)
	}
	now, next, spare := t.Now(), false, false
	for _, key := range list {
		next, spare = next || key.Next, spare || key.Announced
	}
	for _, key := range list {
		if key.Current && key.Elsewhere {
			t.held(r, key.ID, next || spare)
		}
		age := now.Sub(key.Created)
		days := int(age.Hours() / 24)
		switch {
		case key.Current && t.RotateEvery > 0 && age > t.RotateEvery+24*time.Hour:
			r.Fail("keys.age", key.ID, "look into the log; tocsin key rotate --data "+t.Data, "the signing key is %d days old and should have been replaced by itself after %v", days, t.RotateEvery)
		case key.Current && t.RotateEvery > 0 && next:
			r.OK("keys.age", key.ID, "the signing key is %d days old; the next one is published", days)
		case key.Current && t.RotateEvery == 0 && age > oldKey:
			r.Warn("keys.age", key.ID, "tocsin key rotate --data "+t.Data+", or serve --rotate-every 90d", "the signing key is %d days old", days)
		case key.Current:
			r.OK("keys.age", key.ID, "the signing key is %d days old", days)
		case !key.Next && !key.Announced && now.Sub(key.LastUsed) > longUnused:
			r.Warn("keys.unused", key.ID, "tocsin key retire --data "+t.Data+" "+key.ID, "the key has not signed for %d days and is still published: whoever has it can sign as this issuer", int(now.Sub(key.LastUsed).Hours()/24))
		}
	}
	return nil
}

// held looks whether the signer has the key that signs, and one for later.
func (t Transmitter) held(r *Report, kid string, spare bool) {
	switch {
	case t.Held != nil && !slices.Contains(t.Held, kid):
		r.Fail("signer.keys", kid, "give it that key again (tocsin signer --key); if it is lost: tocsin key rotate --data "+t.Data, "the signer does not have the key that signs: SETs wait")
	case t.RotateEvery > 0 && !spare:
		r.Warn("signer.keys", kid, "tocsin key make, and tocsin signer with one more --key", "the signer has no key for the next rotation")
	default:
		r.OK("signer.keys", kid, "the signer has the key that signs")
	}
}

func (t Transmitter) index(ctx context.Context, r *Report) error {
	var at struct {
		Indexed uint64 `json:"indexed"`
		Records uint64 `json:"records"`
	}
	err := t.API.Do(ctx, http.MethodGet, "/admin/index", nil, &at)
	switch {
	case refused(err):
		return nil
	case err != nil:
		return fmt.Errorf("asking for the index: %w", err)
	case at.Records-min(at.Indexed, at.Records) > farBehind:
		r.Warn("index", "", "wait while it is built; if it does not come nearer, look into the log: tocsin event reindex --data "+t.Data, "the search index has yet to read %d of %d records: searches and erasures wait", at.Records-at.Indexed, at.Records)
	default:
		r.OK("index", "", "the search index is up to date")
	}
	return nil
}

func (t Transmitter) sources(ctx context.Context, r *Report) error {
	var list []struct {
		Name   string `json:"name"`
		Auth   string `json:"auth"`
		Signed bool   `json:"signed"`
		API    *struct {
			PollSeconds int `json:"poll_seconds"`
		} `json:"api"`
		Polled *struct {
			LastSuccess time.Time `json:"last_success"`
			Failures    int       `json:"failures"`
			LastError   string    `json:"last_error"`
		} `json:"polled"`
	}
	if err := t.API.Do(ctx, http.MethodGet, "/admin/sources", nil, &list); err != nil {
		return fmt.Errorf("asking for the sources: %w", err)
	}
	for _, s := range list {
		if s.Auth == "none" && !s.Signed {
			r.Warn("source.open", s.Name, "tocsin source rotate, or keep others from its path", "anybody who knows its path can write events of this source")
		}
		if s.API == nil || s.API.PollSeconds == 0 || s.Polled == nil {
			continue
		}
		late := time.Duration(silentPolls*s.API.PollSeconds)*time.Second + time.Minute
		if s.Polled.Failures > 0 && t.Now().Sub(s.Polled.LastSuccess) > late {
			r.Fail("source.poll", s.Name, "look at its credentials (tocsin source list --data "+t.Data+"); tocsin source rotate replaces them", "the vendor's API has failed %d times in a row, the last with: %s", s.Polled.Failures, s.Polled.LastError)
		} else {
			r.OK("source.poll", s.Name, "the vendor's API is polled")
		}
	}
	return nil
}

// receiver is a stream, or a webhook, as the admin API tells of it.
type receiver struct {
	ID       string `json:"stream_id"`
	Hook     string `json:"id"`
	URL      string `json:"url"`
	Delivery struct {
		Method string `json:"method"`
		URL    string `json:"endpoint_url"`
	} `json:"delivery"`
	Status      string    `json:"status"`
	Reason      string    `json:"reason"`
	Queued      int       `json:"queued"`
	DeadLetters int       `json:"dead_letters"`
	Oldest      time.Time `json:"oldest"`
	LastError   string    `json:"last_error"`
}

func (t Transmitter) streams(ctx context.Context, r *Report) error {
	var applications []struct {
		ID string `json:"id"`
	}
	if err := t.API.Do(ctx, http.MethodGet, "/admin/applications", nil, &applications); err != nil {
		return fmt.Errorf("asking for the applications: %w", err)
	}
	var all []receiver
	for _, one := range applications {
		var list []receiver
		if err := t.API.Do(ctx, http.MethodGet, "/admin/streams?application="+url.QueryEscape(one.ID), nil, &list); err != nil {
			return fmt.Errorf("asking for the streams of %s: %w", one.ID, err)
		}
		all = append(all, list...)
	}
	var hooks struct {
		Webhooks []receiver `json:"webhooks"`
	}
	if err := t.API.Do(ctx, http.MethodGet, "/admin/webhooks", nil, &hooks); err != nil {
		return fmt.Errorf("asking for the webhooks: %w", err)
	}
	all = append(all, hooks.Webhooks...)
	for i := range all {
		t.receiver(r, &all[i])
	}
	t.probe(ctx, r, all)
	return nil
}

// receiver notes how a stream or webhook fares.
func (t Transmitter) receiver(r *Report, s *receiver) {
	kind, id := "stream", s.ID
	resume := fmt.Sprintf("end the cause, then: curl --unix-socket %s/admin.sock -d '{\"status\":\"enabled\"}' http://admin/admin/streams/%s/status", t.Data, s.ID)
	letters := "tocsin deadletter list --data " + t.Data + " --stream " + s.ID
	if s.ID == "" {
		kind, id = "webhook", s.Hook
		resume = "end the cause, then: tocsin webhook update --data " + t.Data + " " + id + " --status enabled"
		letters = "tocsin deadletter list --data " + t.Data + " --stream " + id
	}
	well := len(r.Findings)
	if s.Status != "enabled" {
		r.Warn(kind+".status", id, resume, "it is %s: %s; nothing leaves on it", s.Status, s.Reason)
	}
	if s.DeadLetters > 0 {
		r.Warn(kind+".dead", id, letters+"; then tocsin deadletter resend or drop", "%d SETs were set aside: its receiver has not heard of them", s.DeadLetters)
	}
	if waits := t.Now().Sub(s.Oldest); s.Queued > 0 && !s.Oldest.IsZero() && waits > longWait && s.Status == "enabled" {
		why := s.LastError
		if why == "" {
			why = "its receiver does not take them"
		}
		r.Fail(kind+".backlog", id, "ask whoever runs the receiver; tocsin doctor tries its endpoint", "%d SETs wait, the oldest for %v: %s", s.Queued, waits.Round(time.Second), why)
	}
	if len(r.Findings) == well {
		r.OK(kind, id, "enabled; %d wait, none was set aside", s.Queued)
	}
}

// probe tries the endpoints of all pushes, each once: also of those that are paused, since
// that may be why.
func (t Transmitter) probe(ctx context.Context, r *Report, all []receiver) {
	client := guard.NewClient(t.Push)
	heard := listen(client, t.Now)
	defer heard.idle()
	of := map[string]string{} // by URL: who is pushed to there
	var urls []string
	for i := range all {
		raw, id := all[i].Delivery.URL, all[i].ID
		if all[i].URL != "" {
			raw, id = all[i].URL, all[i].Hook
		}
		if raw == "" || of[raw] != "" || all[i].Delivery.Method == delivery.MethodPoll {
			continue
		}
		of[raw] = id
		urls = append(urls, raw)
	}
	if len(urls) > maxProbed {
		r.Warn("push.reach", "", "look at the others by their streams' last error", "%d endpoints are more than are tried at once; the first %d were", len(urls), maxProbed)
		urls = urls[:maxProbed]
	}
	statuses, errs := make([]string, len(urls)), make([]error, len(urls))
	var wg sync.WaitGroup
	turn := make(chan struct{}, workers)
	for i, raw := range urls {
		wg.Go(func() {
			turn <- struct{}{}
			statuses[i], errs[i] = knock(ctx, client, raw)
			<-turn
		})
	}
	wg.Wait()
	told := map[string]bool{}
	for i, raw := range urls {
		t.reached(r, of[raw], hostOf(raw), statuses[i], errs[i])
		if host := hostOf(raw); !told[host] {
			told[host] = true
			heard.tell(r, host, t.Now())
		}
	}
}

// reached notes what came of a try.
func (t Transmitter) reached(r *Report, id, host, status string, err error) {
	switch {
	case guard.Blocked(err) && t.KnownPush:
		r.Fail("push.reach", id, "serve --push-allow with its range, if it is yours; else have the stream's URL changed", "%s is an address that is not public, and pushes to it are refused: %v", host, err)
	case guard.Blocked(err):
		r.Warn("push.reach", id, "tocsin doctor serve with the server's own settings knows", "%s is an address that is not public: unless the server has --push-allow for it, pushes are refused", host)
	case err != nil:
		r.Fail("push.reach", id, "ask whoever runs it; with an authority of your own: serve --push-ca", "%s cannot be reached: %v", host, err)
	default:
		r.OK("push.reach", id, "%s answers (%s to a HEAD)", host, status)
	}
}
