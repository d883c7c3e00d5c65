package push

import (
	"net/http"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// Judgement is what an answer of a receiver means for the SET and the stream
// (U20, U22, contracts.md §5).
type Judgement uint8

// The judgements.
const (
	// Accepted: any 2xx.
	Accepted Judgement = iota
	// SetAside: this SET alone is refused, for good.
	SetAside
	// RetryKey: this SET alone is tried again, since the receiver may be
	// about to fetch our keys.
	RetryKey
	// BackOff: the stream is tried again later.
	BackOff
	// PauseStream: the stream is paused at once.
	PauseStream
)

// String returns the judgement as a metric label.
func (j Judgement) String() string {
	return [...]string{"delivered", "refused", "invalid_key", "failed", "paused"}[j]
}

// Verdicts are all texts of judgements.
func Verdicts() []string {
	return []string{Accepted.String(), SetAside.String(), RetryKey.String(), BackOff.String(), PauseStream.String()}
}

// Judge returns the judgement of an answer's status and, for 400, of the err
// in its body ("" if it has none).
func Judge(status int, err delivery.Code) Judgement {
	switch {
	case status >= 200 && status <= 299:
		return Accepted
	case status == http.StatusBadRequest:
		switch err {
		case delivery.CodeInvalidKey:
			return RetryKey
		case delivery.CodeAuthenticationFailed, delivery.CodeAccessDenied:
			return BackOff
		}
		return SetAside
	case status == http.StatusGone:
		return PauseStream
	case status == http.StatusRequestEntityTooLarge, status == http.StatusUnsupportedMediaType:
		return SetAside
	}
	return BackOff
}

// retryAfter reads a Retry-After header: seconds or an HTTP date; zero if it
// has none or it lies in the past.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}
