package peer

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"mime"
	"net/http"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Handler is the push endpoint (RFC 8935 §2).
func (r *Receiver) Handler() http.Handler { return http.HandlerFunc(r.pushed) }

func (r *Receiver) pushed(w http.ResponseWriter, req *http.Request) {
	media, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	fit := !r.breaks("PUSH-2.3-03")
	switch {
	case req.Method != http.MethodPost && fit:
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case media != delivery.MediaType && fit:
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	raw, err := readAll(req.Body, MaxRequestBytes)
	if err != nil && fit {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	wanted := r.cfg.Authorization
	if wanted != "" && subtle.ConstantTimeCompare([]byte(req.Header.Get("Authorization")), []byte(wanted)) == 0 && !r.breaks("PUSH-2-01") {
		r.refuse(w, delivery.Failure{Err: delivery.CodeAuthenticationFailed, Description: "the Authorization header is another"})
		return
	}
	r.mu.Lock()
	before := len(r.seen)
	r.mu.Unlock()
	f, jti := r.take(context.WithoutCancel(req.Context()), string(raw))
	r.mu.Lock()
	repeated := f.Err == "" && len(r.seen) == before && r.seen[jti] > 0
	r.mu.Unlock()
	if f.Err == "" && r.breaks("PUSH-2-02") {
		pause(req.Context(), slowness+receiverPause)
	}
	switch {
	case f.Err != "":
		r.refuse(w, f)
	case repeated && r.breaks("PUSH-2-03"):
		r.refuse(w, delivery.Failure{Err: delivery.CodeInvalidRequest, Description: "it was here before"})
	case r.breaks("PUSH-2.2-01"):
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte("thanks"))
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

// refuse answers 400 (RFC 8935 §2.3).
func (r *Receiver) refuse(w http.ResponseWriter, f delivery.Failure) {
	if r.breaks("PUSH-2.4-01") {
		f.Err = "jwtParse"
	}
	if r.breaks("PUSH-2.3-01") {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	language := "en"
	if r.breaks("PUSH-2.3-02") {
		language, f.Description = "de", "so nicht"
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Language", language)
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write(encoded(f))
}

// pollAll polls until ctx ends (RFC 8936 §2).
func (r *Receiver) pollAll(ctx context.Context) {
	acked := false
	for ctx.Err() == nil {
		r.mu.Lock()
		at, owed := r.stream.Delivery.EndpointURL, r.owed
		r.owed = map[string]delivery.Failure{}
		r.mu.Unlock()
		body := r.pollBody(owed)
		if len(owed) > 0 && !acked { // the first acknowledgement comes alone (§2.4.2)
			body["maxEvents"], body["returnImmediately"] = 0, !r.breaks("POLL-2.4.2-01")
			acked = true
		}
		if !r.pollOnce(ctx, at, body, owed) {
			r.mu.Lock()
			for id, f := range owed {
				r.owed[id] = f
			}
			r.mu.Unlock()
			pause(ctx, receiverPause)
		}
	}
}

func (r *Receiver) pollBody(owed map[string]delivery.Failure) object {
	acks, errs := []string{}, map[string]delivery.Failure{}
	for id, f := range owed {
		if f.Err == "" {
			acks = append(acks, id)
		} else {
			errs[id] = f
		}
	}
	body := object{"returnImmediately": false}
	if len(acks) > 0 && !r.breaks("POLL-2.4-03") {
		body["ack"] = acks
	}
	if len(errs) > 0 {
		body["setErrs"] = errs
	}
	return body
}

// pollOnce polls and tells whether an answer came.
func (r *Receiver) pollOnce(ctx context.Context, at string, body object, owed map[string]delivery.Failure) bool {
	ctx, cancel := context.WithTimeout(ctx, receiverTimeout+receiverLongPoll)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(encoded(body)))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	if r.breaks("POLL-2-01") {
		req.Header.Set("Content-Type", "text/plain")
	}
	req.Header.Set("Authorization", "Bearer "+r.cfg.Token)
	if body["setErrs"] != nil && !r.breaks("POLL-2.6-01") {
		req.Header.Set("Content-Language", "en")
	}
	resp, err := r.cfg.HTTP.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := readAll(resp.Body, r.limit()+8*MaxRequestBytes)
	var answer struct{ Sets map[string]json.RawMessage }
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(raw, &answer) != nil {
		return false
	}
	if len(answer.Sets) == 0 {
		pause(ctx, receiverPause)
	}
	for id, raw := range answer.Sets {
		compact, _ := text(raw)
		r.polled(ctx, id, compact)
	}
	return true
}

// polled judges one SET of an answer.
func (r *Receiver) polled(ctx context.Context, id, compact string) {
	r.mu.Lock()
	repeated := r.seen[id] > 0
	r.mu.Unlock()
	f, _ := r.take(ctx, compact)
	opaque := false
	if m, ok := open(compact); ok {
		opaque = m.subject.Format() == "opaque" && m.events[streams.TypeVerification] == nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case f.Err == "" && opaque && r.breaks("POLL-2.4-04"):
		f = delivery.Failure{Err: delivery.CodeAccessDenied, Description: "our database is down"}
	case f.Err == "" && repeated && r.breaks("POLL-2.4-02"):
		return
	case f.Err != "" && r.breaks("PUSH-2.4-01"):
		f.Err = "jwtParse"
	case f.Err == delivery.CodeInvalidKey && r.unknowns[id] < 2 && !r.breaks("rotation-missed"):
		r.unknowns[id]++ // the key may be about to be published
		return
	}
	r.owed[id] = f
}
