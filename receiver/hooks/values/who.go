package values

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
)

// Target is whom to log out at an OpenID provider: a user, or a session, or both. Not
// neither.
type Target struct{ Sub, Sid string }

// Who reads targets from actions.
type Who struct {
	// Sub and Sid are templates; empty: {user.sub} and {session.id}. A Sid of "-"
	// says that sessions of events are not known.
	Sub, Sid string
	// Issuer is the iss that an identifier has whose sub is a sub here; empty: every
	// one's is.
	Issuer string
	// Ignore are as in Rows.
	Ignore []string
}

// Parse checks who and returns its reader. The error names each bad template.
func (w Who) Parse() (*Reader, error) {
	r := &Reader{who: w}
	var wrong []error
	for _, t := range []struct {
		name, text, otherwise string
		into                  *Template
	}{{"sub", w.Sub, "{user.sub}", &r.sub}, {"sid", w.Sid, "{session.id}", &r.sid}} {
		if t.text == "" {
			t.text = t.otherwise
		}
		template, err := ParseTemplate(t.text)
		if err == nil && len(template.Names()) == 0 && t.text != "-" {
			err = fmt.Errorf("%q: it names no value of the event", t.text)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", t.name, err))
		}
		*t.into = template
	}
	return r, errors.Join(wrong...)
}

// Reader reads targets.
type Reader struct {
	who      Who
	sub, sid Template
}

// Targets returns whom an action is about: sub and sid if both are told, else the sid,
// else the sub. A simple subject is either. Errors are those of Rows.
func (r *Reader) Targets(a hooks.Action) ([]Target, error) {
	sub, sid := r.sub.Names(), r.sid.Names()
	if len(sub) > 0 && r.who.Issuer != "" {
		sub = append([]string{"user.iss"}, sub...)
	}
	var both []string
	if a.Scope.Member("") == nil && len(sub) > 0 && len(sid) > 0 {
		both = slices.Concat(sub, sid)
	}
	for _, way := range []struct {
		names    []string
		sub, sid bool
	}{{both, true, true}, {sid, false, true}, {sub, true, false}} {
		if len(way.names) == 0 {
			continue
		}
		rows, err := Rows(a, way.names, r.who.Ignore)
		if errors.Is(err, hooks.ErrNotApplicable) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if targets := r.fill(rows, way.sub, way.sid); len(targets) > 0 {
			return targets, nil
		}
	}
	return nil, fmt.Errorf("the event does not tell whom to log out: %w", hooks.ErrNotApplicable)
}

func (r *Reader) fill(rows []Row, sub, sid bool) (targets []Target) {
	for _, row := range rows {
		if sub && r.who.Issuer != "" && row.Text("user.iss") != r.who.Issuer {
			continue
		}
		var t Target
		if sub {
			t.Sub = r.sub.Expand(row, nil)
		}
		if sid {
			t.Sid = r.sid.Expand(row, nil)
		}
		targets = append(targets, t)
	}
	return targets
}
