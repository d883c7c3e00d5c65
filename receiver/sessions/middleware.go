package sessions

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Middleware returns net/http middleware that lets requests of good sessions through
// and answers all others as Refuse does. identify says who bears a request, without
// asking anyone over the network; false: nobody, and the request goes through, since
// what one must be logged in for is the application's to say. See FromCookie.
//
// It looks once, when a request begins: what is open for long, such as a WebSocket, is
// to ask the gate again by itself.
func (g *Gate) Middleware(identify func(*http.Request) (Bearer, bool)) func(http.Handler) http.Handler {
	return Guard{Gate: g, Identify: identify}.Middleware
}

// Guard is a gate before an http.Handler with refusals of one's own.
type Guard struct {
	Gate     *Gate
	Identify func(*http.Request) (Bearer, bool)
	// Refuse answers a request that is not let through; nil: [Refuse].
	Refuse func(http.ResponseWriter, *http.Request, Verdict)
}

// Middleware puts the gate before next.
func (g Guard) Middleware(next http.Handler) http.Handler {
	refuse := g.Refuse
	if refuse == nil {
		refuse = Refuse
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bearer, ok := g.Identify(r); ok {
			if verdict := g.Gate.Bearer(bearer); verdict != Good {
				refuse(w, r, verdict)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// retryAfter is the whole seconds after which to ask again while the state is not known.
const retryAfter = "5"

// Refuse answers with the status of a verdict: 401 for Revoked, 403 for Denied, 503 for
// Unknown, and a line of text.
func Refuse(w http.ResponseWriter, r *http.Request, v Verdict) {
	header, status, text := w.Header(), v.Status(), ""
	switch v {
	case Revoked:
		text = "the session has ended, log in again"
		if strings.HasPrefix(strings.ToLower(r.Header.Get("Authorization")), "bearer ") {
			header.Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="the session has ended"`)
		}
	case Denied:
		text = "access is denied"
	default:
		text = "it is not known whether the session is still good, try again"
		header.Set("Retry-After", retryAfter)
	}
	header.Set("Cache-Control", "no-store")
	http.Error(w, text, status)
}

// Status returns the HTTP status that a verdict is answered with: 200 for Good.
func (v Verdict) Status() int {
	switch v {
	case Good:
		return http.StatusOK
	case Revoked:
		return http.StatusUnauthorized
	case Denied:
		return http.StatusForbidden
	}
	return http.StatusServiceUnavailable
}

// FromCookie identifies requests by the session's id in a cookie and an index, as
// [Identify] does. Of several cookies of that name the first counts, as it does for
// http.Request.Cookie.
func FromCookie(index Lookup, name string) func(*http.Request) (Bearer, bool) {
	return func(r *http.Request) (Bearer, bool) {
		cookie, err := r.Cookie(name)
		if err != nil || cookie.Value == "" {
			return Bearer{}, false
		}
		return Identify(r.Context(), index, cookie.Value), true
	}
}

// Identify returns whose a session is. One that the index does not know is Unlisted; if
// the index fails, the bearer is known by nothing, and the gate's fail mode decides.
func Identify(ctx context.Context, index Lookup, id string) Bearer {
	if len(id) > MaxIDBytes {
		return Unlisted()
	}
	bearer, err := index.Lookup(ctx, id)
	switch {
	case errors.Is(err, ErrUnknown):
		return Unlisted()
	case err != nil:
		return Bearer{}
	}
	return bearer
}

// Defaults of a Tracker.
const (
	DefaultTrackEvery = 10 * time.Minute
	// MaxTracked bounds the sessions that a Tracker remembers to have added.
	MaxTracked = 100_000
)

// Track returns middleware that keeps the sessions of requests in an index, for
// applications that cannot call Index.Add where users log in. Where that fails it answers
// 503: no event could end such a session. See Tracker for other ways.
func Track(index Index, identify func(*http.Request) (Session, bool)) func(http.Handler) http.Handler {
	return (&Tracker{Index: index, Identify: identify}).Middleware
}

// Tracker keeps the sessions of requests in an index. Its fields are not to be changed
// once it is in use.
type Tracker struct {
	Index Index
	// Identify returns the session of a request as it is once the user is logged in;
	// false: none.
	Identify func(*http.Request) (Session, bool)
	// Every is how often a session is added again; zero: DefaultTrackEvery.
	Every time.Duration
	// Failed is called where a session could not be kept and says whether the request
	// goes on; nil: it is answered 503.
	Failed func(http.ResponseWriter, *http.Request, error) bool

	once  sync.Once
	seed  maphash.Seed
	mu    sync.Mutex
	added map[uint64]time.Time
}

// Middleware keeps the session of each request before next sees it.
func (t *Tracker) Middleware(next http.Handler) http.Handler {
	t.once.Do(func() { t.seed, t.added = maphash.MakeSeed(), make(map[uint64]time.Time) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s, ok := t.Identify(r); ok && !t.track(w, r, s) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (t *Tracker) track(w http.ResponseWriter, r *http.Request, s Session) (goOn bool) {
	key, now := t.key(s), time.Now()
	if t.fresh(key, now) {
		return true
	}
	if err := t.Index.Add(r.Context(), s); err != nil {
		if t.Failed != nil {
			return t.Failed(w, r, fmt.Errorf("sessions: track: %w", err))
		}
		if errors.Is(err, ErrInvalid) {
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return false
		}
		Refuse(w, r, Unknown)
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.added) >= MaxTracked {
		clear(t.added) // each is added once more
	}
	t.added[key] = now
	return true
}

// key tells sessions and what is known of them apart: a session that has become another
// user's is added anew.
func (t *Tracker) key(s Session) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	_, _ = h.WriteString(s.ID)
	for _, key := range s.Bearer().Keys() {
		_, _ = h.Write(key[:])
	}
	return h.Sum64()
}

func (t *Tracker) fresh(key uint64, now time.Time) bool {
	every := t.Every
	if every == 0 {
		every = DefaultTrackEvery
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.added[key]
	return ok && now.Sub(at) < every
}
