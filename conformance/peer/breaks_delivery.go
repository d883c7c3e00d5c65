package peer

import (
	"encoding/json"
	"net/http"
	"strings"
)

// subjectBreaks are those of the subjects of streams, and of what streams hear of.
func subjectBreaks() []Break {
	return []Break{
		does("SSF-7.1-12", "with ALL, a new stream hears of nobody", func(c *conduct) { c.othersSubjects = true }),
		does("SSF-7.1-13", "with NONE, a new stream hears of everybody", func(c *conduct) { c.othersSubjects = true }),
		does("SSF-7.1-14", "a subject that was removed is heard of", func(c *conduct) { c.removeIgnored = true }),
		does("SSF-8.1.3.1-01", "simple subjects of one format match", func(c *conduct) { c.anySimple = true }),
		does("SSF-8.1.3.1-02", "complex subjects match only if they are equal", func(c *conduct) { c.noWildcard = true }),
		does("SSF-8.1.3.1-03", "an event goes to the oldest stream alone", func(c *conduct) { c.firstOnly = true }),
		answers("SSF-8.1.3.2-01", "a subject that was added is answered 202", func(_ *request, a *reply) {
			if a.status == http.StatusOK {
				a.status = http.StatusAccepted
			}
		}, OpAddSubject),
		instead("SSF-8.1.3.2-02", "verified must be there", func(_ *Transmitter, r *request) *reply {
			if body, err := members(r.body); err == nil && body["verified"] == nil && r.Header.Get("Authorization") != "" {
				return refuse(http.StatusBadRequest, "verified is missing")
			}
			return nil
		}, OpAddSubject),
		does("SSF-8.1.3.2-04", "what is no subject can be added", func(c *conduct) { c.anySubject = true }),
		answers("SSF-8.1.3.3-01", "a subject that was removed is answered 200", func(_ *request, a *reply) {
			if a.status == http.StatusNoContent {
				a.status = http.StatusOK
			}
		}, OpRemoveSubject),
		does("SSF-8.1.3-02", "a subject can be added once", func(c *conduct) { c.addOnce = true }),
		instead("SSF-8.1.3-03", "the stream's own subject is refused when it is removed", func(_ *Transmitter, r *request) *reply {
			body, err := members(r.body)
			if err != nil || !strings.Contains(string(body["subject"]), `"`+r.streamID()+`"`) || r.Header.Get("Authorization") == "" {
				return nil
			}
			return refuse(http.StatusBadRequest, "not this one")
		}, OpRemoveSubject),
	}
}

// deliveryBreaks are those of push and poll.
func deliveryBreaks() []Break {
	push := func(id, text string, alter func(r *http.Request)) Break {
		return Break{ID: id, Does: text, set: func(c *conduct) {
			c.pushes = append(c.pushes, func(_ *Transmitter, r *http.Request) { alter(r) })
		}}
	}
	return []Break{
		push("PUSH-2.1-01", "the Content-Type of a push is application/jwt", func(r *http.Request) { r.Header.Set("Content-Type", "application/jwt") }),
		does("PUSH-2-05", "a SET is pushed again although it was refused for good", func(c *conduct) { c.stubborn = true }),
		does("PUSH-2.4-01", "an error code that is not known stops the stream", func(c *conduct) { c.chokes = true }),
		does("PUSH-3-01", "a certificate of anybody will do", func(c *conduct) { c.anyCertificate = true }),
		does("PUSH-4-01", "no push is tried again", func(c *conduct) { c.noRetry = true }),
		instead("POLL-2-01", "the body {} of a poll is answered 400", func(_ *Transmitter, r *request) *reply {
			if strings.TrimSpace(string(r.body)) == "{}" && r.Header.Get("Authorization") != "" {
				return answer(http.StatusBadRequest, nil)
			}
			return nil
		}, OpPoll),
		does("POLL-2.2-01", "maxEvents is exceeded", func(c *conduct) { c.overMax = true }),
		does("POLL-2.2-02", "returnImmediately is not heeded", func(c *conduct) { c.waitsAlways = true }),
		does("POLL-2.2-03", "what was acknowledged comes again", func(c *conduct) { c.acksIgnored = true }),
		does("POLL-2.2-04", "what was refused comes again", func(c *conduct) { c.errsIgnored = true }),
		answers("POLL-2.3-01", "there is no sets where there is no SET", func(_ *request, a *reply) {
			if raw, ok := a.body.([]byte); ok && strings.HasPrefix(string(raw), `{"sets":{}`) {
				a.body = object{}
			}
		}, OpPoll),
		does("POLL-2.3-02", "moreAvailable is never true", func(c *conduct) { c.moreNever = true }),
		does("POLL-2.4-01", "a SET is given once, acknowledged or not", func(c *conduct) { c.losesSent = true }),
		does("acks-late", "SETs are chosen before what is acknowledged is gone (POLL-2.4.3-01)", func(c *conduct) { c.ackAfter = true }),
		does("POLL-2.5-01", "a poll never waits", func(c *conduct) { c.waitsNever = true }),
		instead("POLL-2.5.1-01", "a poll that is none is answered 200", func(_ *Transmitter, r *request) *reply {
			var any struct {
				MaxEvents *int     `json:"maxEvents"`
				Ack       []string `json:"ack"`
			}
			if r.Header.Get("Authorization") != "" && (json.Unmarshal(r.body, &any) != nil || any.MaxEvents != nil && *any.MaxEvents < 0) {
				return answer(http.StatusOK, object{"sets": object{}})
			}
			return nil
		}, OpPoll),
	}
}
