package sourcetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// OneLogin is OneLogin's API: the list and look-up of events, and tokens.
type OneLogin struct {
	server
	// Token is the access token that is good.
	Token string
	// ClientID and Secret get Token at the token call; empty: nobody does.
	ClientID, Secret string
	// Types are the elements of the answer of the types call.
	Types []string
}

// NewOneLogin returns a server without events that takes the token.
func NewOneLogin(token string) *OneLogin { return &OneLogin{Token: token} }

// oneLoginLimit is the largest page.
const oneLoginLimit = 50

// OneLoginEvent returns an event as the list has it.
func OneLoginEvent(id int64, kind int, at time.Time) Event {
	return Event{ID: id, Time: at.Truncate(time.Millisecond), JSON: fmt.Sprintf(
		`{"id":%d,"created_at":%q,"account_id":1,"user_id":654321,"event_type_id":%d,"actor_system":"","role_id":null,"risk_score":null}`,
		id, at.UTC().Format("2006-01-02T15:04:05.000Z"), kind)}
}

// ServeHTTP answers as it is documented.
func (o *OneLogin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if o.begin(w, r) {
		return
	}
	if r.URL.Path == "/auth/oauth2/v2/token" && r.Method == http.MethodPost {
		o.giveToken(w, r)
		return
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "bearer:")
	if !ok || strings.HasPrefix(token, " ") {
		oneLoginRefuses(w, http.StatusBadRequest, "bad request", "Authorization Information is incorrect")
		return
	}
	o.mu.Lock()
	good := token == o.Token
	o.mu.Unlock()
	if !good {
		oneLoginRefuses(w, http.StatusUnauthorized, "Unauthorized", "Authentication Failure")
		return
	}
	switch rest, ok := strings.CutPrefix(r.URL.Path, "/api/1/events"); {
	case !ok || r.Method != http.MethodGet:
		oneLoginRefuses(w, http.StatusNotFound, "not found", "Not Found")
	case rest == "":
		o.list(w, r)
	case rest == "/types":
		o.types(w)
	default:
		o.one(w, strings.TrimPrefix(rest, "/"))
	}
}

// Renew makes another token the one that is good.
func (o *OneLogin) Renew(token string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.Token = token
}

func (o *OneLogin) giveToken(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var ask struct {
		Grant string `json:"grant_type"`
	}
	_ = json.Unmarshal(body, &ask)
	want := "client_id:" + o.ClientID + ", client_secret:" + o.Secret
	if o.ClientID == "" || r.Header.Get("Authorization") != want || ask.Grant != "client_credentials" {
		oneLoginRefuses(w, http.StatusUnauthorized, "Unauthorized", "Authentication Failure")
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{
		"access_token": o.Token, "created_at": "2015-11-11T03:36:18.714Z", "expires_in": 36000,
		"refresh_token": "r", "token_type": "bearer", "account_id": 1,
	})
}

func oneLoginRefuses(w http.ResponseWriter, status int, kind string, message any) {
	reply(w, status, map[string]any{"status": map[string]any{"error": true, "code": status, "type": kind, "message": message}})
}

// wrong names a parameter.
func wrong(w http.ResponseWriter, attribute string) {
	oneLoginRefuses(w, http.StatusBadRequest, "bad request", map[string]string{"attribute": attribute, "description": attribute + " is incorrect"})
}

func (o *OneLogin) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if name := unknown(q, "since", "until", "limit", "sort", "after_cursor"); name != "" {
		wrong(w, name)
		return
	}
	since, err := oneLoginTime(q.Get("since"))
	if err != nil {
		wrong(w, "since")
		return
	}
	until, err := oneLoginTime(q.Get("until"))
	if err != nil {
		wrong(w, "until")
		return
	}
	limit := oneLoginLimit
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > oneLoginLimit {
			wrong(w, "limit")
			return
		}
	}
	events := o.between(since, until)
	switch q.Get("sort") {
	case "+id":
	case "", "-id": // without a sort no order is documented: not the convenient one
		slices.Reverse(events)
	default:
		wrong(w, "sort")
		return
	}
	from := 0
	if cursor := q.Get("after_cursor"); cursor != "" {
		last, err := base64.RawURLEncoding.DecodeString(cursor)
		from = 1 + slices.IndexFunc(events, func(e Event) bool { return err == nil && strconv.FormatInt(e.ID, 10) == string(last) })
		if from == 0 {
			wrong(w, "after_cursor")
			return
		}
	}
	page := events[from:min(from+limit, len(events))]
	pagination := map[string]any{"before_cursor": nil, "after_cursor": nil, "previous_link": nil, "next_link": nil}
	if from+limit < len(events) {
		cursor := base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(page[len(page)-1].ID, 10)))
		q.Set("after_cursor", cursor)
		pagination["after_cursor"], pagination["next_link"] = cursor, "https://elsewhere.example/api/1/events?"+q.Encode()
	}
	reply(w, http.StatusOK, map[string]any{"status": oneLoginSuccess(), "pagination": pagination, "data": raw(page)})
}

func (o *OneLogin) one(w http.ResponseWriter, id string) {
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		oneLoginRefuses(w, http.StatusBadRequest, "bad request", map[string]string{"attribute": "id", "description": "ID is incorrect"})
		return
	}
	e, ok := o.find(id)
	if !ok {
		oneLoginRefuses(w, http.StatusNotFound, "not found", "Event for id "+id+" was not found")
		return
	}
	reply(w, http.StatusOK, map[string]any{"status": oneLoginSuccess(), "data": raw([]Event{e})})
}

// types answers with all types at once.
func (o *OneLogin) types(w http.ResponseWriter) {
	all := make([]json.RawMessage, len(o.Types))
	for i, text := range o.Types {
		all[i] = json.RawMessage(text)
	}
	reply(w, http.StatusOK, map[string]any{"status": oneLoginSuccess(), "data": all})
}

func oneLoginSuccess() any {
	return map[string]any{"error": false, "code": 200, "type": "success", "message": "Success"}
}

func oneLoginTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse("2006-01-02T15:04:05.000Z", text)
}
