package transmitter_test

import "net/url"

// reach is how a route may come at what is another's: path (below the route's, "": the
// route's own) and body have ids in them. none says why there is nothing of another's to
// name; unowned, that its owner does not get at it by this request alone.
type reach struct {
	path, body, none string
	unowned          bool
}

// reaches has a line for every route of the issuer.
func reaches() map[string]reach {
	const (
		named  = `{"stream_id":"{stream}"`
		stream = "/v1/streams/{stream}"
		hook   = "/v1/webhooks/{hook}"
		same   = "the same for everybody"
		own    = "only of its caller"
	)
	return map[string]reach{
		"GET /ssf/streams":                                      {path: "/ssf/streams?stream_id={stream}"},
		"PATCH /ssf/streams":                                    {body: named + `,"description":"taken"}`},
		"PUT /ssf/streams":                                      {body: named + `,"description":"taken","delivery":{"method":"urn:ietf:rfc:8936"}}`},
		"DELETE /ssf/streams":                                   {path: "/ssf/streams?stream_id={stream}"},
		"POST /ssf/streams":                                     {none: own},
		"GET /ssf/status":                                       {path: "/ssf/status?stream_id={stream}"},
		"POST /ssf/status":                                      {body: named + `,"status":"paused"}`},
		"POST /ssf/subjects/add":                                {body: named + `,"subject":{"format":"email","email":"x@example.com"}}`},
		"POST /ssf/subjects/remove":                             {body: named + `,"subject":{"format":"email","email":"x@example.com"}}`},
		"POST /ssf/verify":                                      {body: named + `,"state":"s"}`},
		"POST /ssf/poll/:stream_id":                             {path: "/ssf/poll/{stream}", body: `{"ack":["{jti}"],"returnImmediately":true}`},
		"POST /v1/streams/:stream_id/replay":                    {path: stream + "/replay", body: `{"from":"2026-01-02T03:04:05Z"}`},
		"GET /v1/streams/:stream_id/dead-letters":               {path: stream + "/dead-letters"},
		"POST /v1/streams/:stream_id/dead-letters/:jti/resend":  {path: stream + "/dead-letters/{dead}/resend"},
		"DELETE /v1/streams/:stream_id/dead-letters/:jti":       {path: stream + "/dead-letters/{dead2}"},
		"GET /v1/participation":                                 {path: participation("{who}")},
		"POST /v1/events":                                       {none: "a source is the credential's"},
		"GET /v1/events":                                        {path: "/v1/events?subject=" + url.QueryEscape(`{"format":"iss_sub","iss":"https://idp.example","sub":"`) + "{who}" + url.QueryEscape(`"}`)},
		"GET /v1/events/:id":                                    {path: "/v1/events/{event}"},
		"PATCH /v1/events/:id":                                  {path: "/v1/events/{event}", body: `{"suspect":true}`},
		"GET /v1/events/:id/annotations":                        {path: "/v1/events/{event}/annotations"},
		"GET /v1/events/:id/proof":                              {path: "/v1/events/{event}/proof"},
		"GET /v1/event-types":                                   {none: same},
		"POST /v1/consents":                                     {none: own},
		"GET /v1/consents":                                      {none: own},
		"GET /v1/consents/gate":                                 {none: own},
		"PUT /v1/consents/gate":                                 {none: own},
		"POST /v1/erasures":                                     {none: own},
		"GET /v1/erasures":                                      {none: own},
		"GET /v1/erasures/:id":                                  {path: "/v1/erasures/{erasure}"},
		"POST /v1/webhooks":                                     {none: own},
		"GET /v1/webhooks":                                      {none: own},
		"GET /v1/webhooks/:stream_id":                           {path: hook},
		"PATCH /v1/webhooks/:stream_id":                         {path: hook, body: `{"description":"taken"}`},
		"PUT /v1/webhooks/:stream_id":                           {path: hook, body: `{"url":"http://127.0.0.1:2/"}`},
		"DELETE /v1/webhooks/:stream_id":                        {path: hook},
		"POST /v1/webhooks/:stream_id/rotate":                   {path: hook + "/rotate", body: `{}`},
		"POST /v1/webhooks/:stream_id/test":                     {path: hook + "/test"},
		"POST /v1/webhooks/:stream_id/replay":                   {path: hook + "/replay", body: `{"from":"2026-01-02T03:04:05Z"}`},
		"GET /v1/webhooks/:stream_id/dead-letters":              {path: hook + "/dead-letters"},
		"POST /v1/webhooks/:stream_id/dead-letters/:jti/resend": {path: hook + "/dead-letters/{letter}/resend"},
		"DELETE /v1/webhooks/:stream_id/dead-letters/:jti":      {path: hook + "/dead-letters/{letter2}"},
		"GET /v1/log/proof":                                     {path: "/v1/log/proof?id={event}"},
		"GET /v1/log/checkpoint":                                {none: same},
		"GET /v1/log/tile/*":                                    {none: same},
		"POST /v1/log/cosignatures":                             {none: same},
		"POST /v1/sources/:name":                                {path: "/v1/sources/{source}", body: `{}`, unowned: true},
		"POST /oauth/token":                                     {body: "grant_type=client_credentials&client_id={client}&client_secret=x", unowned: true},
		"POST /oauth/revoke":                                    {body: "token=x&client_id={client}&client_secret=x", unowned: true},
		"GET /jwks.json":                                        {none: same},
	}
}
