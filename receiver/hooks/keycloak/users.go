package keycloak

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// users returns the ids of the users that the identifiers name, and whether any of them
// is one that users are known by.
func (r *run) users(ctx context.Context, named []subject.Identifier) (ids []string, told bool, err error) {
	for _, id := range named {
		var found []string
		iss, _ := id.Value("iss")
		sub, _ := id.Value("sub")
		mail, _ := id.Value("email")
		alias := r.cfg.Brokers[iss]
		switch format := id.Format(); {
		case format == subject.FormatIssSub && iss == r.cfg.Issuer:
			found = []string{sub}
		case format == subject.FormatIssSub && alias != "":
			found, err = r.search(ctx, url.Values{"idpAlias": {alias}, "idpUserId": {sub}}, "")
		case format == subject.FormatEmail && !r.cfg.NoEmail:
			found, err = r.search(ctx, url.Values{"email": {mail}, "exact": {"true"}}, mail)
		default:
			continue
		}
		if err != nil {
			return nil, true, err
		}
		told = true
		for _, one := range found {
			if !slices.Contains(ids, one) {
				ids = append(ids, one)
			}
		}
	}
	return ids, told, nil
}

// maxUsers is how many users one identifier may name: several where a realm allows an
// e-mail address twice.
const maxUsers = 10

// search looks users up (GET /users), those of that e-mail address alone if it is given. A
// server that is too old to know a parameter of query leaves it out and answers with
// everybody, which is a permanent error.
func (r *run) search(ctx context.Context, query url.Values, mail string) (ids []string, err error) {
	const what = "look up users"
	query.Set("briefRepresentation", "true")
	answer, err := r.api.Ask(ctx, what, http.MethodGet, []string{"users"}, query, nil)
	if err != nil {
		return nil, err
	}
	if err := r.api.Verdict(answer, what, http.StatusOK); err != nil {
		return nil, err
	}
	var found []struct {
		ID    string `json:"id"`
		Email string `json:"email"`
	}
	if err := r.api.JSON(answer, what, &found); err != nil {
		return nil, err
	}
	for _, one := range found {
		if mail == "" || one.Email == "" || strings.EqualFold(one.Email, mail) {
			ids = append(ids, one.ID)
		}
	}
	if len(ids) > maxUsers || mail == "" && len(ids) > 1 {
		return nil, receiver.Permanent(fmt.Errorf("%s: %s: the server found %d for one identifier, nothing is done", name, what, len(ids)))
	}
	return ids, nil
}

// user does what is to be done to one user.
func (r *run) user(ctx context.Context, id string) error {
	if r.effect == hooks.Allow {
		return r.enable(ctx, id, true)
	}
	if r.effect == hooks.Deny && r.cfg.DisableUsers && r.whole { // first: nobody logs in behind the back of what ends
		if err := r.enable(ctx, id, false); err != nil {
			return err
		}
	}
	old, young, err := r.sessions(ctx, id)
	switch {
	case err != nil || len(old) == 0:
		return err
	case r.dry:
		r.ended += len(old)
		return nil
	case young == 0:
		return r.logout(ctx, id, len(old))
	}
	for _, session := range old {
		if err := r.endSession(ctx, session); err != nil {
			return err
		}
	}
	return nil
}

// sessions returns the ids of the sessions of a user that began at or before the event,
// and how many began later.
func (r *run) sessions(ctx context.Context, user string) (old []string, young int, err error) {
	const what = "list sessions"
	answer, err := r.api.Ask(ctx, what, http.MethodGet, []string{"users", user, "sessions"}, nil, nil)
	if err != nil || answer.Status == http.StatusNotFound {
		return nil, 0, err
	}
	if err := r.api.Verdict(answer, what, http.StatusOK); err != nil {
		return nil, 0, err
	}
	var found []struct {
		ID    string `json:"id"`
		Start int64  `json:"start"` // milliseconds
	}
	if err := r.api.JSON(answer, what, &found); err != nil {
		return nil, 0, err
	}
	for _, one := range found {
		if time.UnixMilli(one.Start).After(r.until) {
			young++
		} else {
			old = append(old, one.ID)
		}
	}
	return old, young, nil
}

// logout ends all sessions of a user, of which there are n.
func (r *run) logout(ctx context.Context, user string, n int) error {
	const what = "log a user out"
	answer, err := r.api.Ask(ctx, what, http.MethodPost, []string{"users", user, "logout"}, nil, nil)
	if err != nil || answer.Status == http.StatusNotFound {
		return err
	}
	if err := r.api.Verdict(answer, what, http.StatusNoContent, http.StatusOK); err != nil {
		return err
	}
	r.ended += n
	return nil
}

// endSession ends one session.
func (r *run) endSession(ctx context.Context, id string) error {
	if r.dry {
		r.ended++
		return nil
	}
	const what = "end a session"
	answer, err := r.api.Ask(ctx, what, http.MethodDelete, []string{"sessions", id}, nil, nil)
	if err != nil || answer.Status == http.StatusNotFound {
		return err
	}
	if err := r.api.Verdict(answer, what, http.StatusNoContent, http.StatusOK); err != nil {
		return err
	}
	r.ended++
	return nil
}

// enable sets whether a user can log in. The whole of the user is sent back, since a
// part alone can take away what it leaves out.
func (r *run) enable(ctx context.Context, id string, enabled bool) error {
	if r.dry {
		return nil
	}
	const read, write = "read a user", "enable or disable a user"
	answer, err := r.api.Ask(ctx, read, http.MethodGet, []string{"users", id}, nil, nil)
	if err != nil || answer.Status == http.StatusNotFound {
		return err
	}
	if err := r.api.Verdict(answer, read, http.StatusOK); err != nil {
		return err
	}
	user := map[string]json.RawMessage{}
	if err := r.api.JSON(answer, read, &user); err != nil {
		return err
	}
	user["enabled"] = json.RawMessage("false")
	if enabled {
		user["enabled"] = json.RawMessage("true")
	}
	answer, err = r.api.Ask(ctx, write, http.MethodPut, []string{"users", id}, nil, user)
	if err != nil || answer.Status == http.StatusNotFound {
		return err
	}
	return r.api.Verdict(answer, write, http.StatusNoContent, http.StatusOK)
}
