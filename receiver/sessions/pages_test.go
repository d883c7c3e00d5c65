package sessions_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// ids is an index of sessions that all fit; it fails once it has none above fail.
type ids struct {
	sessions.Index
	all  []string
	fail string
}

func (l ids) Find(_ context.Context, _ receiver.Scope, _ time.Time, after string, most int) (found []sessions.Session, err error) {
	if l.fail != "" && after >= l.fail {
		return nil, errors.New("away")
	}
	for _, id := range l.all {
		if id > after && len(found) < most {
			found = append(found, sessions.Session{ID: id})
		}
	}
	return found, nil
}

func TestPages(t *testing.T) {
	scope := receiver.ScopeOf(subject.Email("jo@example.com"))
	for _, tt := range []struct {
		name   string
		index  ids
		want   []string
		failed bool
	}{
		{"none", ids{}, nil, false},
		{"a part of a page", ids{all: []string{"a"}}, []string{"a"}, false},
		{"whole pages", ids{all: []string{"a", "b", "c", "d"}}, []string{"a", "b", "c", "d"}, false},
		{"a page and a part", ids{all: []string{"a", "b", "c"}}, []string{"a", "b", "c"}, false},
		{"a failure behind a page", ids{all: []string{"a", "b", "c"}, fail: "b"}, []string{"a", "b"}, true},
	} {
		var got []string
		failed := false
		for page, err := range sessions.Pages(t.Context(), tt.index, scope, time.Now(), 2) {
			failed = err != nil
			for _, s := range page {
				got = append(got, s.ID)
			}
		}
		if !slices.Equal(got, tt.want) || failed != tt.failed {
			t.Errorf("%s: got %q, failed %v, want %q, %v", tt.name, got, failed, tt.want, tt.failed)
		}
	}
}
