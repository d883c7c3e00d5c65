package peer

import (
	"net/http"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// managed are the operations on streams.
func managed() []Op {
	return []Op{OpCreate, OpRead, OpList, OpUpdate, OpReplace, OpDelete, OpStatus, OpSetStatus, OpAddSubject, OpRemoveSubject, OpVerify}
}

// streamBreaks are those of the management of streams.
func streamBreaks() []Break {
	status := func(from, to int) func(*request, *reply) {
		return func(_ *request, a *reply) {
			if a.status == from {
				a.status = to
			}
		}
	}
	return []Break{
		does("SSF-6.1.1-01", "a push stream needs no endpoint_url", func(c *conduct) { c.anyEndpoint = true }),
		{ID: "SSF-6.1.1-02", Does: "Bearer is put before the authorization_header", set: func(c *conduct) {
			c.pushes = append(c.pushes, func(_ *Transmitter, r *http.Request) {
				if v := r.Header.Get("Authorization"); v != "" {
					r.Header.Set("Authorization", "Bearer "+v)
				}
			})
		}},
		does("SSF-6.1.2-01", "all streams of a receiver are polled at one address", func(c *conduct) { c.sharedPoll = true }),
		does("SSF-8.1.1-01", "events are sent that are not in events_delivered", func(c *conduct) { c.anyEvent = true }),
		instead("SSF-8.1.1-02", "an unknown event type is answered 400", func(t *Transmitter, r *request) *reply {
			body, err := members(r.body)
			if err != nil {
				return nil
			}
			asked, _ := texts(body["events_requested"])
			for _, typ := range asked {
				if !isListed(t.cfg.Events, typ) {
					return refuse(http.StatusBadRequest, "unknown event type")
				}
			}
			return nil
		}, OpCreate, OpUpdate, OpReplace),
		answers("SSF-8.1.1.1-01", "a stream that was made is answered 200", status(http.StatusCreated, http.StatusOK), OpCreate),
		answers("SSF-8.1.1.1-02", "the answer to a create has no delivery", func(_ *request, a *reply) {
			if doc, ok := a.body.(object); ok && a.status == http.StatusCreated {
				delete(doc, "delivery")
			}
		}, OpCreate),
		does("SSF-8.1.1.1-03", "a second stream takes the place of the first, with its id", func(c *conduct) { c.reusesID = true }),
		answers("SSF-8.1.1.1-04", "a body that is no JSON is answered 500", func(r *request, a *reply) {
			if _, err := members(r.body); err != nil {
				a.status = http.StatusInternalServerError
			}
		}, OpCreate),
		answers("SSF-8.1.1.2-01", "a stream that is not there is answered 400", status(http.StatusNotFound, http.StatusBadRequest), OpRead),
		answers("SSF-8.1.1.2-02", "a list of one is its only stream", func(_ *request, a *reply) {
			if list, ok := a.body.([]any); ok && len(list) == 1 {
				a.body = list[0]
			}
		}, OpList),
		instead("SSF-8.1.1.3-01", "a PATCH without stream_id is answered 200", func(t *Transmitter, r *request) *reply {
			if body, err := members(r.body); err != nil || body["stream_id"] != nil || len(t.streams) == 0 || r.Header.Get("Authorization") == "" {
				return nil
			}
			return answer(http.StatusOK, t.configuration(t.streams[0]))
		}, OpUpdate),
		does("SSF-8.1.1.3-02", "a PATCH clears what is absent", func(c *conduct) { c.patchReplaces = true }),
		does("SSF-8.1.1.3-03", "members of the transmitter's own may have any value", func(c *conduct) { c.takesMismatch = true }),
		does("SSF-8.1.1.3-04", "a change is answered with what was before it", func(c *conduct) { c.tellsNoChange = true }),
		does("SSF-8.1.1.4-02", "a PUT leaves what is absent", func(c *conduct) { c.putMerges = true }),
		does("SSF-8.1.1.4-03", "a PUT pauses the stream and forgets its subjects", func(c *conduct) { c.resetsOnPut = true }),
		answers("SSF-8.1.1.5-01", "a deletion is answered 200", status(http.StatusNoContent, http.StatusOK), OpDelete),
		does("SSF-8.1.1.5-02", "a stream that was deleted can be polled", func(c *conduct) { c.pollsDeleted = true }),
		answers("SSF-8.1.1-08", "answers may be stored by caches", func(_ *request, a *reply) { a.header.Del("Cache-Control") }, managed()...),
		instead("SSF-8.1.1-09", "a body without Content-Type is answered 415", func(_ *Transmitter, r *request) *reply {
			if len(r.body) > 0 && r.Header.Get("Content-Type") == "" {
				return answer(http.StatusUnsupportedMediaType, nil)
			}
			return nil
		}, managed()...),
		does("SSF-8.1.1-10", "a change is one of all streams of the receiver", func(c *conduct) { c.otherToo = true }),
		instead("INTEROP-2.3.8.1-01", "a stream that is polled cannot be made", func(_ *Transmitter, r *request) *reply {
			body, err := members(r.body)
			if err != nil {
				return nil
			}
			d, err := members(body["delivery"])
			if method, _ := text(d["method"]); err == nil && method == delivery.MethodPoll {
				return refuse(http.StatusBadRequest, "only push")
			}
			return nil
		}, OpCreate),
	}
}

func isListed(list []string, one string) bool {
	for _, s := range list {
		if s == one {
			return true
		}
	}
	return false
}

// statusBreaks are those of the status, verification and stream-updated.
func statusBreaks() []Break {
	control := func(id, text, typ string, alter func(d *Draft)) Break {
		return drafts(id, text, func(d *Draft) {
			if got, _ := d.event(); got == typ {
				alter(d)
			}
		})
	}
	return []Break{
		answers("SSF-8.1.2.1-01", "the status has no stream_id", func(_ *request, a *reply) {
			if doc, ok := a.body.(object); ok {
				delete(doc, "stream_id")
			}
		}, OpStatus),
		does("SSF-8.1.2.1-02", "any text is a status", func(c *conduct) { c.anyStatus = true }),
		does("SSF-8.1.2.1-03", "new streams are paused", func(c *conduct) { c.startsPaused = true }),
		does("SSF-8.1.2.1-04", "a stream that is paused goes on", func(c *conduct) { c.stopsNever = true }),
		does("SSF-8.1.2.1-05", "what was held goes out in reverse order", func(c *conduct) { c.unordered = true }),
		does("SSF-8.1.2.1-06", "a stream that is disabled holds events", func(c *conduct) { c.disabledHolds = true }),
		does("SSF-8.1.2.2-01", "a reason stays although the next request has none", func(c *conduct) { c.keepsReason = true }),
		answers("SSF-8.1.2.2-02", "the status of a stream that is not there can be set", func(_ *request, a *reply) {
			if a.status == http.StatusNotFound {
				a.status = http.StatusOK
			}
		}, OpSetStatus),
		does("SSF-8.1.1-04", "calls of a stream are no activity", func(c *conduct) { c.callsForgotten = true }),
		does("SSF-8.1.2-01", "a status that the transmitter decides is not told", func(c *conduct) { c.silentChange = true }),
		{ID: "SSF-8.1.2-03", Does: "a poll of a stream that is paused is answered 409", set: func(c *conduct) {
			c.after = append(c.after, func(t *Transmitter, r *request, a *reply) {
				if s := t.known(r.streamID()); r.op == OpPoll && s != nil && s.status != streams.Enabled {
					*a = *answer(http.StatusConflict, nil)
				}
			})
		}},
		does("paused-loses", "a stream that is paused holds nothing (SSF-8.1.2.1-04)", func(c *conduct) { c.pausedLoses = true }),
		does("half-done", "a change that is refused is done in part (SSF-8.1.1.3-04)", func(c *conduct) { c.halfDone = true }),

		answers("SSF-8.1.4.2-01", "a verification is answered 202", func(_ *request, a *reply) {
			if a.status == http.StatusNoContent {
				a.status = http.StatusAccepted
			}
		}, OpVerify),
		does("SSF-8.1.4.2-02", "the state that is echoed is another one", func(c *conduct) { c.stateChanged = true }),
		does("SSF-8.1.4.2-03", "a verification that nobody gave a state has one", func(c *conduct) { c.stateInvented = true }),
		control("SSF-8.1.4.1-01", "the subject of a verification is not the stream", streams.TypeVerification, func(d *Draft) {
			d.Claims["sub_id"] = object{"format": "email", "email": "jo@example.com"}
		}),
		does("SSF-8.1.5-01", "stream-updated comes behind all that waits", func(c *conduct) { c.updateLate = true }),
		control("SSF-8.1.5-03", "stream-updated has no status", streams.TypeStreamUpdated, func(d *Draft) { d.setPayload(object{"reason": "none"}) }),
		does("INTEROP-2.3.8.2-01", "no verification event is sent", func(c *conduct) { c.verifyDropped = true }),
	}
}
