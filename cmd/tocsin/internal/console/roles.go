package console

import (
	"net/http"
	"strings"
)

// Role is what somebody who is signed in may do. Each may do what those below it may.
type Role int

// The roles.
const (
	// Viewer sees everything and changes nothing.
	Viewer Role = iota + 1
	// Operator does the work of a day: streams, dead letters, events, consents.
	Operator
	// Admin does all else: who may do what, keys, erasure.
	Admin
)

// String returns the role's name.
func (r Role) String() string {
	switch r {
	case Viewer:
		return "viewer"
	case Operator:
		return "operator"
	case Admin:
		return "admin"
	}
	return "nobody"
}

// RoleNamed returns the role of a name; false if there is none.
func RoleNamed(name string) (Role, bool) {
	for _, r := range []Role{Viewer, Operator, Admin} {
		if r.String() == name {
			return r, true
		}
	}
	return 0, false
}

// needed is the least role for an operation of the admin API: GET is for viewers, what
// stands here for operators, and all else for admins.
func needed(method, path string) Role {
	if method == http.MethodGet {
		return Viewer
	}
	for _, op := range operatorsWork() {
		if op.Method == method && op.Matches(path) {
			return Operator
		}
	}
	return Admin
}

// operation is one of the admin API; {} in its path stands for one segment.
type operation struct{ Method, Path string }

// operatorsWork are the operations of the work of a day.
func operatorsWork() []operation {
	return []operation{
		{http.MethodPost, "/admin/streams/{}/status"},
		{http.MethodPost, "/admin/streams/{}/verify"},
		{http.MethodPost, "/admin/streams/{}/replay"},
		{http.MethodPost, "/admin/streams/{}/dead-letters/{}/resend"},
		{http.MethodDelete, "/admin/streams/{}/dead-letters/{}"},
		{http.MethodPost, "/admin/events"},
		{http.MethodPatch, "/admin/events/{}"},
		{http.MethodPost, "/admin/mapping"}, // changes nothing
		{http.MethodPost, "/admin/consents"},
		{http.MethodPost, "/admin/sources/{}/fetch"},
		{http.MethodPost, "/admin/webhooks/{}/replay"},
		{http.MethodPost, "/admin/webhooks/{}/test"},
		{http.MethodPost, "/admin/dead-letters/retry"},
		{http.MethodPost, "/admin/dead-letters/drop"},
		{http.MethodPost, "/admin/explain"}, // changes nothing
	}
}

// Matches reports whether path is one of the operation's.
func (o operation) Matches(path string) bool {
	want, got := strings.Split(o.Path, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != "{}" && want[i] != got[i] {
			return false
		}
	}
	return true
}
