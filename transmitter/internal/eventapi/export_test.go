package eventapi

import (
	"net/url"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// ParseSearch reads the parameters of a search, and returns the filters that a cursor of
// it is bound to, too.
func ParseSearch(values url.Values) (eventlog.Query, string, error) {
	a, err := parseAsk(values)
	if err != nil {
		return eventlog.Query{}, "", err
	}
	return a.Query, a.filters, nil
}

// ReadPatch reads the body of an annotation.
func ReadPatch(body []byte) (*eventlog.Annotation, error) { return readPatch(body) }

// Cursors seal and open places.
type Cursors struct{ *cursors }

// NewCursors returns those of a key.
func NewCursors(key [CursorKeySize]byte) (Cursors, error) {
	c, err := newCursors(key)
	return Cursors{c}, err
}

// Seal returns the cursor of a place.
func (c Cursors) Seal(after eventlog.Hit, head uint64, start int64, bound string) string {
	return c.seal(position{after, head, start}, bound)
}

// Open returns the place of a cursor.
func (c Cursors) Open(text, bound string) (after eventlog.Hit, head uint64, start int64, err error) {
	p, err := c.open(text, bound)
	return p.after, p.head, p.start, err
}
