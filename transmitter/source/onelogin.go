package source

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

const (
	oneLoginEvents = "/api/1/events"
	oneLoginTypes  = "/api/1/events/types"
	oneLoginToken  = "/auth/oauth2/v2/token"
	// oneLoginLimit is the most records of a page.
	oneLoginLimit = 50
	// oneLoginTime is how its times are written: milliseconds, Z.
	oneLoginTime = "2006-01-02T15:04:05.000Z"
	// tokenMargin is how long before its end a token is renewed.
	tokenMargin = time.Minute
)

// OneLogin is OneLogin's API, version 1 of its events, at https://<subdomain>.
type OneLogin struct {
	api
	client, secret string

	mu      sync.Mutex
	token   string    // got with client and secret; empty: none
	expires time.Time // of token
}

// NewOneLogin returns the API at of.URL. Without of.ClientID of.Secret is an
// access token; with it, the secret of that client, which gets tokens.
func NewOneLogin(of *auth.VendorAPI, client *http.Client) *OneLogin {
	return &OneLogin{api: newAPI(of, client, oneLoginError), client: of.ClientID, secret: of.Secret}
}

// Limit is 50.
func (*OneLogin) Limit() int { return oneLoginLimit }

// oneLoginHead is what each answer begins with.
type oneLoginHead struct {
	Status struct {
		Error bool `json:"error"`
		Code  int  `json:"code"`
	} `json:"status"`
}

// oneLoginPage is the envelope of an answer.
type oneLoginPage struct {
	Pagination struct {
		After string `json:"after_cursor"`
		Next  string `json:"next_link"`
	} `json:"pagination"`
	Data []jsontext.Value `json:"data"`
}

// Events returns a page of GET /api/1/events, in the order of the ids.
func (o *OneLogin) Events(ctx context.Context, q Query) (Page, error) {
	query := url.Values{
		"since": {q.Since.UTC().Format(oneLoginTime)},
		"limit": {strconv.Itoa(q.Limit)},
		"sort":  {"+id"},
	}
	if q.Cursor != "" {
		query.Set("after_cursor", q.Cursor)
	}
	answer, err := o.ask(ctx, oneLoginEvents, query)
	if err != nil {
		return Page{}, err
	}
	page := Page{Next: answer.next(), Records: make([]Record, len(answer.Data))}
	for i, raw := range answer.Data {
		page.Records[i] = Record{Time: oneLoginCreated(raw), JSON: json.RawMessage(raw)}
	}
	return page, nil
}

// next returns the cursor of the next page: after_cursor, or the one in
// next_link. The link itself is never followed, nor is our token sent to it.
func (p *oneLoginPage) next() string {
	if p.Pagination.After != "" || p.Pagination.Next == "" {
		return p.Pagination.After
	}
	link, err := url.Parse(p.Pagination.Next)
	if err != nil {
		return ""
	}
	return link.Query().Get("after_cursor")
}

func oneLoginCreated(raw jsontext.Value) time.Time {
	var head struct {
		Created string `json:"created_at"`
	}
	if jsonv2.Unmarshal(raw, &head, lenient()) != nil {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, head.Created)
	if err != nil {
		return time.Time{}
	}
	return at
}

// Event returns the record of GET /api/1/events/:id, which is a list of one.
func (o *OneLogin) Event(ctx context.Context, id string) (json.RawMessage, error) {
	answer, err := o.ask(ctx, oneLoginEvents+"/"+url.PathEscape(id), nil)
	if err != nil {
		return nil, err
	}
	if len(answer.Data) != 1 {
		return nil, errAnswer
	}
	return json.RawMessage(answer.Data[0]), nil
}

// Types returns what GET /api/1/events/types tells of the types of events.
func (o *OneLogin) Types(ctx context.Context) ([]mapping.Type, error) {
	body, err := o.fetch(ctx, oneLoginTypes, nil)
	if err != nil {
		return nil, err
	}
	types, err := mapping.ReadOneLoginTypes(body)
	if err != nil {
		return nil, errAnswer
	}
	return types, nil
}

// ask calls a path with an access token, with a new one if the first is not
// good any more, and reads the list that is answered.
func (o *OneLogin) ask(ctx context.Context, path string, query url.Values) (*oneLoginPage, error) {
	body, err := o.fetch(ctx, path, query)
	if err != nil {
		return nil, err
	}
	var answer oneLoginPage
	if jsonv2.Unmarshal(body, &answer, lenient()) != nil {
		return nil, errAnswer
	}
	return &answer, nil
}

// fetch returns the answer itself, once it is none that tells of an error.
func (o *OneLogin) fetch(ctx context.Context, path string, query url.Values) ([]byte, error) {
	token, err := o.access(ctx)
	if err != nil {
		return nil, err
	}
	body, err := o.get(ctx, path, query, oneLoginBearer(token))
	var refused *Error
	if errors.As(err, &refused) && refused.Status == http.StatusUnauthorized && o.client != "" {
		o.forget(token)
		if token, err = o.access(ctx); err != nil {
			return nil, err
		}
		body, err = o.get(ctx, path, query, oneLoginBearer(token))
	}
	if err != nil {
		return nil, err
	}
	var head oneLoginHead
	if jsonv2.Unmarshal(body, &head, lenient()) != nil {
		return nil, errAnswer
	}
	if head.Status.Error { // an error under 200
		return nil, newError(head.Status.Code, nil, body, time.Now(), oneLoginError)
	}
	return body, nil
}

// oneLoginBearer is the value of the Authorization header: the word, a colon,
// and no space.
func oneLoginBearer(token string) string { return "bearer:" + token }

// access returns an access token.
func (o *OneLogin) access(ctx context.Context) (string, error) {
	if o.client == "" {
		return o.secret, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.token != "" && time.Now().Before(o.expires) {
		return o.token, nil
	}
	body, err := o.call(ctx, http.MethodPost, o.base+oneLoginToken,
		"client_id:"+o.client+", client_secret:"+o.secret, strings.NewReader(`{"grant_type":"client_credentials"}`))
	if err != nil {
		return "", err
	}
	var given struct {
		Token   string `json:"access_token"`
		Expires int64  `json:"expires_in"` // seconds
	}
	if jsonv2.Unmarshal(body, &given, lenient()) != nil || given.Token == "" {
		return "", errAnswer
	}
	life := time.Duration(min(max(given.Expires, 0), int64(maxTokenLife/time.Second))) * time.Second
	o.token, o.expires = given.Token, time.Now().Add(life-tokenMargin)
	return o.token, nil
}

// maxTokenLife bounds for how long a token is used.
const maxTokenLife = 24 * time.Hour

// forget drops a token that was refused.
func (o *OneLogin) forget(token string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.token == token {
		o.token = ""
	}
}
