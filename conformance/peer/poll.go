package peer

import (
	"bytes"
	"net/http"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// poll is the polling endpoint of a stream (RFC 8936 §2).
func (t *Transmitter) poll(r *request) *reply {
	s, refusal := t.polled(r)
	if refusal != nil {
		return refusal
	}
	p, err := delivery.ParsePollRequest(r.body)
	if err != nil {
		return answer(http.StatusBadRequest, nil)
	}
	if !t.conduct.ackAfter {
		t.acknowledge(s, p)
	}
	if len(p.Ack)+len(p.SetErrs) > 0 {
		e := t.exchange(r)
		e.Op, e.Err = OpAck, "the answer to this poll comes later"
		t.add(e)
	}
	most := t.cfg.Batch
	if p.MaxEvents != nil && !t.conduct.overMax {
		most = min(most, *p.MaxEvents)
	}
	deadline := time.Now().Add(t.cfg.LongPoll)
	immediate := p.ReturnImmediately && !t.conduct.waitsAlways || t.conduct.waitsNever || most == 0
	sets, more := t.take(s, most)
	conduct := t.conduct // a poll that waits ends when it changes
	for len(sets) == 0 && !immediate && t.conduct == conduct && time.Now().Before(deadline) && t.waits(r, deadline) {
		if t.known(s.id) != s && !t.conduct.pollsDeleted {
			return refuse(http.StatusNotFound, "no such stream")
		}
		sets, more = t.take(s, most)
	}
	if t.conduct.ackAfter {
		t.acknowledge(s, p)
	}
	return answer(http.StatusOK, pollBody(sets, more, t.conduct))
}

// polled returns the stream of a polling endpoint.
func (t *Transmitter) polled(r *request) (*stream, *reply) {
	for _, s := range t.gone {
		if s.id == r.URL.Query().Get("stream_id") {
			return s, nil
		}
	}
	if !t.conduct.sharedPoll || r.URL.Query().Has("stream_id") {
		s, refusal := t.named(r)
		if refusal == nil && s.method != delivery.MethodPoll {
			return nil, refuse(http.StatusNotFound, "the stream is not polled")
		}
		return s, refusal
	}
	for _, s := range t.streams {
		if s.owner == r.client && s.method == delivery.MethodPoll {
			return s, nil
		}
	}
	return nil, refuse(http.StatusNotFound, "no such stream")
}

// waits leaves state until there is work, the deadline has come or the receiver is gone.
func (t *Transmitter) waits(r *request, deadline time.Time) bool {
	wake := t.wake
	t.state.Unlock()
	defer t.state.Lock()
	timer := time.NewTimer(min(time.Until(deadline), t.cfg.Redeliver/2))
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	case <-r.Context().Done():
		return false
	}
	return true
}

// acknowledge takes what was acknowledged or refused from the queue (RFC 8936 §2.4).
func (t *Transmitter) acknowledge(s *stream, p delivery.PollRequest) {
	if !t.conduct.acksIgnored {
		for _, id := range p.Ack {
			s.drop(id)
		}
	}
	if !t.conduct.errsIgnored {
		for id := range p.SetErrs {
			s.drop(id)
		}
	}
}

// take gives out up to most SETs, which come again when they are not acknowledged; more
// tells whether there are others.
func (t *Transmitter) take(s *stream, most int) (list []*item, more bool) {
	now := time.Now()
	list = t.ready(s)
	if more = len(list) > most; more {
		list = list[:most]
	}
	for _, i := range list {
		i.attempts++
		i.out = now.Add(t.cfg.Redeliver)
		if t.conduct.losesSent {
			s.drop(i.id)
		}
	}
	return list, more
}

// pollBody writes an answer whose SETs keep their order (RFC 8936 §2.3).
func pollBody(list []*item, more bool, c *conduct) []byte {
	var b bytes.Buffer
	b.WriteString(`{"sets":{`)
	for n, i := range list {
		if n > 0 {
			b.WriteByte(',')
		}
		b.Write(encoded(object{i.id: i.compact})[1:])
		b.Truncate(b.Len() - 1)
	}
	b.WriteByte('}')
	if (more || c.moreAlways) && !c.moreNever {
		b.WriteString(`,"moreAvailable":true`)
	}
	b.WriteByte('}')
	return b.Bytes()
}
