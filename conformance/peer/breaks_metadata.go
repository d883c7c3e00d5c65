package peer

import (
	"net/http"
	"strings"
)

// metadataBreaks are those of the documents and of authorization.
func metadataBreaks() []Break {
	document := func(id, text string, alter func(doc object)) Break {
		return answers(id, text, func(_ *request, a *reply) {
			if doc, ok := a.body.(object); ok {
				alter(doc)
			}
		}, OpMetadata)
	}
	lacks := func(id, member string) Break {
		return document(id, "the metadata has no "+member, func(doc object) { delete(doc, member) })
	}
	return []Break{
		document("SSF-7.1-01", "issuer has a slash more than the issuer asked for", func(doc object) { doc["issuer"] = doc["issuer"].(string) + "/" }),
		lacks("SSF-7.1-02", "jwks_uri"),
		lacks("SSF-7.1-03", "delivery_methods_supported"),
		document("SSF-7.1-05", "the status endpoint is plain http", func(doc object) {
			doc["status_endpoint"] = strings.Replace(doc["status_endpoint"].(string), "https:", "http:", 1)
		}),
		document("SSF-7.1-08", "a scheme of authorization without spec_urn", func(doc object) {
			doc["authorization_schemes"] = []any{object{"name": "oauth"}}
		}),
		does("SSF-7.1-09", "polls need no credential", func(c *conduct) { c.openPoll = true }),
		document("SSF-7.1-10", "default_subjects is SOME", func(doc object) { doc["default_subjects"] = "SOME" }),
		instead("SSF-7.2-01", "the metadata is not where it belongs", func(_ *Transmitter, _ *request) *reply {
			return answer(http.StatusNotFound, nil)
		}, OpMetadata),
		answers("SSF-7.2.3-01", "the metadata is served as text/html", func(_ *request, a *reply) {
			a.header.Set("Content-Type", "text/html")
		}, OpMetadata),
		lacks("INTEROP-2.3.1-01", "spec_version"),
		lacks("INTEROP-2.3.2-01", "delivery_methods_supported"),
		{ID: "INTEROP-2.3.3-01", Does: "the key that signs is not published", set: func(c *conduct) {
			c.after = append(c.after, func(t *Transmitter, r *request, a *reply) {
				if r.op == OpKeys {
					other := t.key.public()
					other["kid"] = "another"
					a.body = object{"keys": []any{other}}
				}
			})
		}},
		lacks("INTEROP-2.3.4-01", "configuration_endpoint"),
		lacks("INTEROP-2.3.5-01", "status_endpoint"),
		lacks("INTEROP-2.3.6-01", "verification_endpoint"),
		lacks("INTEROP-2.3.7-01", "authorization_schemes"),

		does("SSF-8-01", "requests need no credential", func(c *conduct) { c.anybody = true }),
		does("SSF-8-03", "streams of others are seen", func(c *conduct) { c.seesAll = true }),
		answers("INTEROP-2.7.1-01", "tokens live for a day", func(_ *request, a *reply) {
			if doc, ok := a.body.(object); ok && a.status == http.StatusOK {
				doc["expires_in"] = 24 * 60 * 60
			}
		}, OpToken),
		does("INTEROP-2.7.2-02", "ssf.read is not enough to read", func(c *conduct) { c.noReadScope = true }),
		does("INTEROP-2.7.3-01", "a token in the query is taken", func(c *conduct) { c.queryToken = true }),
		does("INTEROP-2.7.3-02", "any scope is enough for all", func(c *conduct) { c.anyScope = true }),
		answers("INTEROP-2.7.3-03", "a bad token is answered 403", func(_ *request, a *reply) {
			if a.status == http.StatusUnauthorized {
				a.status = http.StatusForbidden
			}
		}, OpCreate, OpRead, OpList, OpUpdate, OpReplace, OpDelete, OpStatus, OpSetStatus),
		answers("PRM-2-01", "the metadata of a resource names no resource", func(_ *request, a *reply) {
			if doc, ok := a.body.(object); ok {
				delete(doc, "resource")
			}
		}, OpResource),
		answers("POLL-3-01", "a poll with a bad token has no WWW-Authenticate", func(_ *request, a *reply) {
			a.header.Del("WWW-Authenticate")
		}, OpPoll),
		does("SEC-07", "an authorization_header may have control characters", func(c *conduct) { c.anyAuthorization = true }),
		{ID: "SEC-04", Does: "the authorization_header of a stream is told", set: func(c *conduct) {
			c.after = append(c.after, func(t *Transmitter, _ *request, a *reply) { tellSecret(t, a) })
		}},
	}
}

// tellSecret puts the authorization_header into the configurations of an answer.
func tellSecret(t *Transmitter, a *reply) {
	list, ok := a.body.([]any)
	if !ok {
		list = []any{a.body}
	}
	for _, one := range list {
		doc, _ := one.(object)
		id, _ := doc["stream_id"].(string)
		delivery, isStream := doc["delivery"].(object)
		if s := t.known(id); s != nil && isStream && s.authorization != "" {
			delivery["authorization_header"] = s.authorization
		}
	}
}
