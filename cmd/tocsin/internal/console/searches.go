package console

import (
	"net/url"
	"sync"
)

// maxSearches is how many searches a session remembers.
const maxSearches = 16

// searches are what a session looked for, by a key. What is looked for may name a subject,
// and so stands in no address: a form sends it, the session keeps it, and the page that is
// gone on to has the key. Safe for concurrent use.
type searches struct {
	mu   sync.Mutex
	list []search
}

type search struct {
	key string
	url.Values
}

// keep remembers a search and returns its key.
func (s *searches) keep(asked url.Values) (key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == maxSearches {
		s.list = s.list[1:]
	}
	key = newSecret()[:16]
	s.list = append(s.list, search{key, asked})
	return key
}

// of returns a search that is remembered still.
func (s *searches) of(key string) (asked url.Values, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.list {
		if one.key == key {
			return one.Values, true
		}
	}
	return nil, false
}
