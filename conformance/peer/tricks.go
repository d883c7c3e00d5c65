package peer

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// Sizes and times of tricks.
const (
	largeBytes   = 40 << 10 // of a SET that everybody can be asked to take
	weakBits     = 1024
	hugeBytes    = 3 << 20 // of one that nobody can
	endlessBytes = 96 << 20
	slowness     = 2 * time.Second
)

// tricks are misbehaviours that show what a receiver makes of them. Those of SETs are
// also for [Transmitter.Send].
func tricks() []Break {
	return append(append(setTricks(), eventTricks()...), conductTricks()...)
}

// setTricks are SETs of forgers, and SETs that are unusual and right.
func setTricks() []Break {
	return []Break{
		signs("unknown-kid", "signed by a key that is not published", func(d *Draft) string {
			d.Header["kid"] = "nobody-knows-me"
			return d.compact(d.key.rs256)
		}),
		{ID: "weak-key", Does: "signed by a published key of 1,024 bits", set: weakKey},
		drafts("no-kid", "no kid", func(d *Draft) { delete(d.Header, "kid") }),
		drafts("long-kid", "a kid of 4,000 characters", func(d *Draft) { d.Header["kid"] = strings.Repeat("k", 4000) }),
		drafts("injected-kid", "a kid that is a query", func(d *Draft) { d.Header["kid"] = "' OR '1'='1' --/../../dev/null" }),
		signs("own-key", "signed by a key in its own header (jwk)", func(d *Draft) string {
			stranger, err := newKey(nil)
			if err != nil {
				return ""
			}
			d.Header["jwk"], d.Header["kid"] = stranger.public(), stranger.id
			return d.compact(stranger.rs256)
		}),
		signs("borrowed-kid", "signed by a stranger's key under the kid of a published one", func(d *Draft) string {
			stranger, err := newKey(nil)
			if err != nil {
				return ""
			}
			return d.compact(stranger.rs256)
		}),
		drafts("critical-header", "a header with crit that nobody knows", func(d *Draft) {
			d.Header["crit"], d.Header["urn:example:x"] = []any{"urn:example:x"}, true
		}),
		drafts("wrong-iss", "iss is another transmitter's", func(d *Draft) { d.Claims["iss"] = "https://another-transmitter.example" }),
		drafts("wrong-aud", "aud is another receiver's", func(d *Draft) { d.Claims["aud"] = "https://another-receiver.example" }),
		drafts("aud-list", "aud is a list with another beside", func(d *Draft) { d.Claims["aud"] = []any{"https://another-receiver.example", d.Claims["aud"]} }),
		drafts("no-jti", "no jti", func(d *Draft) { delete(d.Claims, "jti") }),
		drafts("number-jti", "jti is a number", func(d *Draft) { d.Claims["jti"] = 7 }),
		drafts("text-iat", "iat is a text", func(d *Draft) { d.Claims["iat"] = "yesterday" }),
		drafts("future", "iat is in a year", func(d *Draft) { d.Claims["iat"] = time.Now().AddDate(1, 0, 0).Unix() }),
		drafts("old", "iat was a year ago", func(d *Draft) { d.Claims["iat"] = time.Now().AddDate(-1, 0, 0).Unix() }),
		drafts("typ-jwt", "typ is JWT", func(d *Draft) { d.Header["typ"] = "JWT" }),
		drafts("typ-access-token", "typ is at+jwt, an access token's", func(d *Draft) { d.Header["typ"] = "at+jwt" }),
		drafts("typ-case", "typ is SecEvent+JWT", func(d *Draft) { d.Header["typ"] = "SecEvent+JWT" }),
		drafts("no-events", "no events", func(d *Draft) { delete(d.Claims, "events") }),
		drafts("empty-events", "events is empty", func(d *Draft) { d.Claims["events"] = object{} }),
		drafts("text-events", "events is a text", func(d *Draft) { d.Claims["events"] = `{"a:b":{}}` }),
		drafts("null-event", "the event is null", func(d *Draft) { d.setPayload(nil) }),
		drafts("twice-iss", "iss stands twice", func(d *Draft) {
			d.Encoded = append([]byte(`{"iss":"https://another-transmitter.example",`), encoded(d.Claims)[1:]...)
		}),
		drafts("twice-alg", "alg stands twice in the header", func(d *Draft) {
			d.EncodedHeader = append([]byte(`{"alg":"none",`), encoded(d.Header)[1:]...)
		}),
		signs("no-jwt", "no JWT at all", func(*Draft) string { return "hello" }),
		signs("two-parts", "a JWT without a signature's part", func(d *Draft) string {
			whole := d.compact(d.key.rs256)
			return whole[:strings.LastIndexByte(whole, '.')]
		}),
		drafts("large", "a SET of 40 KiB", func(d *Draft) { d.Claims["note"] = strings.Repeat("n", largeBytes) }),
		drafts("huge", "a SET of 3 MiB", func(d *Draft) { d.Claims["note"] = strings.Repeat("n", hugeBytes) }),
		drafts("deep", "a claim that is nested 5,000 deep", func(d *Draft) {
			const depth = 5000
			d.Claims["note"] = json.RawMessage(strings.Repeat("[", depth) + strings.Repeat("]", depth))
		}),
		drafts("extra-members", "members that nobody knows, wherever there can be some", extraMembers),
		drafts("number-txn", "txn is a number", func(d *Draft) { d.Claims["txn"] = 8 }),
	}
}

// weakKey signs by a small key, which is published, too.
func weakKey(c *conduct) {
	c.signs = append(c.signs, func(t *Transmitter, d *Draft) string {
		if t.publishWeakKey() != nil { // a system that refuses such keys
			return d.compact(d.key.rs256)
		}
		d.Header["kid"] = t.small.id
		return d.compact(t.small.rs256)
	})
}

// PublishWeakKey publishes a key of 1,024 bits beside the others, the one that the trick
// weak-key signs by. Whoever fetches the key set after it has that key.
func (t *Transmitter) PublishWeakKey() error {
	t.state.Lock()
	defer t.state.Unlock()
	return t.publishWeakKey()
}

// publishWeakKey is PublishWeakKey under state.
func (t *Transmitter) publishWeakKey() error {
	if t.small != nil {
		return nil
	}
	private, err := rsa.GenerateKey(rand.Reader, weakBits)
	if err != nil {
		return err
	}
	t.small = &key{id: "small", private: private}
	t.former = append(t.former, t.small)
	return nil
}

func extraMembers(d *Draft) {
	d.Header["x"], d.Claims["urn:example:note"], d.Claims["note"] = "y", object{"a": []any{1, nil}}, "n"
	if sub, ok := d.Claims["sub_id"].(object); ok {
		sub["note"] = "n"
	}
	if _, p := d.event(); p != nil {
		p["note"] = object{"a": true}
	}
}

// eventTricks are of what events say.
func eventTricks() []Break {
	sub := func(id, text string, subject any) Break {
		return drafts(id, text, func(d *Draft) { d.Claims["sub_id"] = subject })
	}
	return []Break{
		sub("text-subject", "sub_id is a text", "jo@example.com"),
		sub("null-subject", "sub_id is null", nil),
		sub("unknown-format", "sub_id has a format that nobody knows", object{"format": "urn:example:badge", "badge": "17"}),
		sub("critical-subject", "sub_id is complex with the member spaceship", object{
			"format": "complex", "user": object{"format": "email", "email": "jo@example.com"}, "spaceship": object{"format": "opaque", "id": "s-1"},
		}),
		payload("milliseconds", "event_timestamp is in milliseconds", func(p object) { p["event_timestamp"] = time.Now().UnixMilli() }),
		payload("fraction", "event_timestamp has a fraction", func(p object) { p["event_timestamp"] = json.RawMessage("1700000000.25") }),
		payload("future-event", "event_timestamp is tomorrow", func(p object) { p["event_timestamp"] = time.Now().AddDate(0, 0, 1).Unix() }),
		payload("unlisted-value", "initiating_entity has a value of its own", func(p object) { p["initiating_entity"] = "robot" }),
		payload("text-reason", "reason_admin is a text", func(p object) { p["reason_admin"] = "because" }),
		drafts("other-stream", "a verification of another stream", func(d *Draft) {
			d.Claims["sub_id"] = object{"format": "opaque", "id": "another-stream"}
		}),
		drafts("wrong-state", "a verification with a state that nobody gave", func(d *Draft) { d.setPayload(object{"state": "nobody-gave-it"}) }),
		drafts("number-state", "a verification whose state is a number", func(d *Draft) { d.setPayload(object{"state": 7}) }),
	}
}

// conductTricks are of what a transmitter does.
func conductTricks() []Break {
	always := func(id, text string, a func() *reply, ops ...Op) Break {
		return instead(id, text, func(*Transmitter, *request) *reply { return a() }, ops...)
	}
	fails := func(status int) func() *reply {
		return func() *reply { return answer(status, []byte("<html>failure</html>")) }
	}
	busy := func() *reply {
		a := answer(http.StatusServiceUnavailable, nil)
		a.header.Set("Retry-After", "2")
		return a
	}
	away := func(id, text string, ops ...Op) Break {
		return instead(id, text, func(t *Transmitter, _ *request) *reply {
			a := answer(http.StatusTemporaryRedirect, nil)
			a.header.Set("Location", t.at("/elsewhere"))
			return a
		}, ops...)
	}
	api := append(managed(), OpPoll)
	return []Break{
		{ID: "slow-answers", Does: "every answer takes two seconds", set: func(c *conduct) {
			for _, op := range append(api, OpMetadata, OpKeys, OpToken) {
				c.delay[op] = slowness
			}
		}},
		{ID: "verified-first", Does: "the answer to a verification takes two seconds, its event comes at once", set: func(c *conduct) {
			c.delay[OpVerify] = slowness
		}},
		does("lost-verifications", "verification events are not sent", func(c *conduct) { c.verifyDropped = true }),
		away("redirected-metadata", "the metadata is a redirect to /elsewhere", OpMetadata),
		away("redirected-api", "the API is a redirect to /elsewhere", api...),
		endless("endless-metadata", OpMetadata), endless("endless-keys", OpKeys), endless("endless-poll", OpPoll), endless("endless-stream", OpCreate),
		answers("decorated-metadata", "the metadata has members and values that nobody knows", func(_ *request, a *reply) {
			if doc, ok := a.body.(object); ok {
				doc["urn:example:note"], doc["default_subjects"], doc["supported_scopes"] = object{"a": []any{nil}}, "SOME", 7
			}
		}, OpMetadata),
		always("failing-polls", "polls are answered 500", fails(http.StatusInternalServerError), OpPoll),
		always("busy-polls", "polls are answered 503 with Retry-After: 2", busy, OpPoll),
		always("failing-api", "the API is answered 500", fails(http.StatusInternalServerError), managed()...),
		always("failing-keys", "the keys are answered 500", fails(http.StatusInternalServerError), OpKeys),
		always("failing-metadata", "the metadata is answered 500", fails(http.StatusInternalServerError), OpMetadata),
		always("garbled-polls", "polls are answered with half of a JSON object", func() *reply { return answer(http.StatusOK, []byte(`{"sets":{"a":`)) }, OpPoll),
		always("undecided", "changes are answered 202", func() *reply { return answer(http.StatusAccepted, nil) }, OpUpdate, OpReplace, OpSetStatus),
		always("read-only-list", "streams cannot be listed (405)", func() *reply { return answer(http.StatusMethodNotAllowed, nil) }, OpList),
		answers("conflict", "a create is answered 409", func(_ *request, a *reply) { *a = *answer(http.StatusConflict, nil) }, OpCreate),
		foreign("foreign-iss", "iss of streams is another transmitter's", "iss", "https://another-transmitter.example"),
		foreign("foreign-aud", "aud of streams is another receiver's", "aud", "https://another-receiver.example"),
		lackingEndpoints(),
		answers("foreign-resource", "the metadata of a resource is that of another one", func(_ *request, a *reply) {
			if doc, ok := a.body.(object); ok {
				doc["resource"] = "https://another-transmitter.example/streams"
			}
		}, OpResource),
		does("polls-never-wait", "polls are answered at once", func(c *conduct) { c.waitsNever = true }),
		does("more-for-ever", "moreAvailable is always true", func(c *conduct) { c.moreAlways, c.waitsNever = true, true }),
		does("deaf", "what was acknowledged or refused comes again", func(c *conduct) { c.acksIgnored, c.errsIgnored = true, true }),
		does("repeated-pushes", "SETs are pushed again although they were accepted", func(c *conduct) { c.storms = true }),
		does("reordered", "SETs go out in reverse order", func(c *conduct) { c.unordered = true }),
		does("no-authorization", "pushes bear no Authorization header", func(c *conduct) { c.forgetsAuthorization = true }),
		{ID: "wrong-authorization", Does: "pushes bear another Authorization header", set: func(c *conduct) {
			c.pushes = append(c.pushes, func(_ *Transmitter, r *http.Request) { r.Header.Set("Authorization", "Bearer another") })
		}},
		{ID: "get-pushes", Does: "pushes are GET requests", set: func(c *conduct) {
			c.pushes = append(c.pushes, func(_ *Transmitter, r *http.Request) { r.Method, r.Body, r.ContentLength = http.MethodGet, nil, 0 })
		}},
		{ID: "text-pushes", Does: "pushes are text/plain", set: func(c *conduct) {
			c.pushes = append(c.pushes, func(_ *Transmitter, r *http.Request) { r.Header.Set("Content-Type", "text/plain") })
		}},
		{ID: "no-accept", Does: "pushes bear no Accept header", set: func(c *conduct) {
			c.pushes = append(c.pushes, func(_ *Transmitter, r *http.Request) { r.Header.Del("Accept") })
		}},
		{ID: "french", Does: "pushes ask for texts in French", set: func(c *conduct) {
			c.pushes = append(c.pushes, func(_ *Transmitter, r *http.Request) { r.Header.Set("Accept-Language", "fr, *;q=0.1") })
		}},
	}
}

// foreign answers streams that are not the issuer's, or not the receiver's.
func foreign(id, text, member string, value any) Break {
	return answers(id, text, func(_ *request, a *reply) {
		list, ok := a.body.([]any)
		if !ok {
			list = []any{a.body}
		}
		for _, one := range list {
			if doc, ok := one.(object); ok && doc[member] != nil {
				doc[member] = value
			}
		}
	}, OpCreate, OpRead, OpList, OpUpdate, OpReplace)
}

// endless answers an operation with more than anybody should read.
func endless(id string, op Op) Break {
	return answers(id, "the answer to "+string(op)+" has 96 MiB", func(_ *request, a *reply) { a.pad = endlessBytes }, op)
}

// lackingEndpoints is metadata that offers as little as it may.
func lackingEndpoints() Break {
	return answers("few-endpoints", "the metadata has no endpoint for status, subjects and verification", func(_ *request, a *reply) {
		if doc, ok := a.body.(object); ok {
			for _, name := range []string{"status_endpoint", "add_subject_endpoint", "remove_subject_endpoint", "verification_endpoint"} {
				delete(doc, name)
			}
		}
	}, OpMetadata)
}
