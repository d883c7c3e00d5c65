package receiver

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// After how long a transmitter may try again that was answered 503.
const (
	retryBusy  = time.Second      // too many requests at once
	retryStore = 5 * time.Second  // inbox or keys cannot be reached
	retryFull  = 60 * time.Second // hooks do not keep up
)

// language is that of every description we send (RFC 8935 §2.3).
const language = "en"

// Handler is the push endpoint (RFC 8935 §2). It answers 202 once the SET is durably
// in the inbox, also if it was there before; 400 with {err, description} for a SET
// that it refuses; 405, 413, 415 for a request that is none; and 503 with
// Retry-After if it cannot tell or keep now. It is safe at any path and needs Run
// for what comes after. Another [Dialect] has another media type and success.
func (r *Receiver) Handler() http.Handler { return http.HandlerFunc(r.push) }

func (r *Receiver) push(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if status := r.checkRequest(w, req); status != 0 {
		w.WriteHeader(status)
		return
	}
	if !r.authorized(req) {
		r.seen.refused(r.cfg.Now(), delivery.CodeAuthenticationFailed)
		r.log.WarnContext(req.Context(), "push with wrong Authorization refused")
		r.denied(w)
		return
	}
	body, status := r.readBody(w, req)
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	select { // after the body: who is slow to send it takes no place from others
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		unavailable(w, retryBusy)
		return
	}
	r.cfg.Crash("push.taken")
	signed, err := r.signed(body)
	if err == nil {
		_, err = r.arrive(r.within(req), signed, ByPush)
	} else {
		r.cfg.Observer.Arrived(ByPush, false, err)
	}
	r.answer(w, req, err)
}

// signed returns the signed bytes of a body, or a *set.Error.
func (r *Receiver) signed(body []byte) ([]byte, error) {
	if r.form.Signed == nil {
		return body, nil
	}
	return r.form.Signed(body)
}

// checkRequest returns the status of a request that is no push, else 0 (PUSH-2.3-03).
func (r *Receiver) checkRequest(w http.ResponseWriter, req *http.Request) int {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed
	}
	media, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || media != r.form.MediaType {
		w.Header().Set("Accept", r.form.MediaType)
		return http.StatusUnsupportedMediaType
	}
	if req.ContentLength > delivery.MaxPushBodyBytes {
		return http.StatusRequestEntityTooLarge
	}
	return 0
}

// authorized compares digests, so that the time taken tells nothing of the value.
func (r *Receiver) authorized(req *http.Request) bool {
	if r.cfg.Authorization == "" {
		return true
	}
	values := req.Header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	got, want := sha256.Sum256([]byte(values[0])), sha256.Sum256([]byte(r.cfg.Authorization))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// denied answers a wrong credential: 400 as in the example of RFC 8935 §2.4, or 401.
func (r *Receiver) denied(w http.ResponseWriter) {
	if r.cfg.Challenge {
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	refuse(w, delivery.Failure{Err: delivery.CodeAuthenticationFailed, Description: "the Authorization header is not the expected one"})
}

// readBody returns the body, or the status to answer with. A body that trickles
// ends with the read timeout.
func (r *Receiver) readBody(w http.ResponseWriter, req *http.Request) ([]byte, int) {
	control := http.NewResponseController(w)
	// A server that cannot set deadlines (a test's recorder) has bounds of its own.
	_ = control.SetReadDeadline(time.Now().Add(r.cfg.ReadTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, delivery.MaxPushBodyBytes))
	if err == nil {
		// Left in place it would end the request's context when it passes.
		_ = control.SetReadDeadline(time.Time{})
		return body, 0
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, http.StatusRequestEntityTooLarge
	}
	w.Header().Set("Connection", "close")
	return nil, http.StatusRequestTimeout
}

func (r *Receiver) answer(w http.ResponseWriter, req *http.Request, err error) {
	if err == nil {
		w.WriteHeader(r.form.Status)
		return
	}
	if refusal, ok := errors.AsType[*set.Error](err); ok {
		r.seen.refused(r.cfg.Now(), refusal.Code)
		r.log.WarnContext(req.Context(), "SET refused", "err", refusal)
		refuse(w, refusal.Failure())
		return
	}
	r.log.ErrorContext(req.Context(), "SET cannot be taken now", "err", err)
	if errors.Is(err, inbox.ErrFull) {
		unavailable(w, retryFull)
		return
	}
	unavailable(w, retryStore)
}

// refuse answers 400 (RFC 8935 §2.3).
func refuse(w http.ResponseWriter, f delivery.Failure) {
	body, err := json.Marshal(f)
	if err != nil { // two strings always encode
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Language", language)
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write(body) // the peer may be gone; there is nobody to tell
}

func unavailable(w http.ResponseWriter, retry time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(retry.Seconds())))
	w.WriteHeader(http.StatusServiceUnavailable)
}
