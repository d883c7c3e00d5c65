package admin

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// Bounds of a page of streams.
const (
	streamPage    = 50  // streams of a page that says nothing of limit
	maxStreamPage = 200 // the most that limit may say
	// maxLooked is how many streams are looked at for one page of a search. What costs
	// is a stream that is read, so that a page costs the same among any number of them.
	maxLooked = 1000
	maxSearch = 256 // bytes of q
	// ownersAtOnce is how many owners' streams are read at a time.
	ownersAtOnce = 64
)

// What a stream may have, to be found by ?has=.
const (
	hasQueued      = "queued"
	hasDeadLetters = "dead_letters"
	hasFailures    = "failures"
)

// StreamPage is a page of all streams.
type StreamPage struct {
	Streams []Stream `json:"streams"`
	// Next is the after of the next page; "": this was the last.
	Next string `json:"next,omitempty"`
	// Looked is how many streams were looked at for this page.
	Looked int `json:"looked"`
}

// streams lists streams: those of ?application=, whole, or a page of all.
func (h Handler) streams(c echo.Context) error {
	application := c.QueryParam("application")
	if application == "" {
		return h.streamPage(c)
	}
	list, err := h.owned(c.Request().Context(), application, false)
	if err != nil {
		return err
	}
	out, err := h.describeAll(c, list)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, out)
}

// streamPage answers with streams of all applications, by application and in order of
// creation, from ?after= on, up to ?limit= of them, which match
//
//	q       id, application, description or the endpoint's host, in part
//	status  enabled, paused, disabled
//	method  push, poll
//	has     queued, dead_letters, failures
//
// A page of a search may have fewer than limit, or none, and still be followed by others:
// the next one looks on from next.
func (h Handler) streamPage(c echo.Context) error {
	look, err := newStreamSearch(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	owners, err := h.Streams.Owners(ctx)
	if err != nil {
		return err
	}
	owners = slices.DeleteFunc(owners, func(owner string) bool {
		_, webhooks := streams.ApplicationOf(owner)
		return webhooks || owner < look.after.owner
	})
	slices.Sort(owners)
	page := StreamPage{Streams: []Stream{}}
	for some := range slices.Chunk(owners, ownersAtOnce) {
		list, err := streams.OwnedBy(ctx, h.Streams, some)
		if err != nil {
			return err
		}
		list = look.after.rest(list)
		for len(list) > 0 {
			if len(page.Streams) == look.limit || page.Looked == maxLooked {
				page.Next = look.last.String()
				return c.JSON(http.StatusOK, page)
			}
			if list, err = h.look(c, look, list, &page); err != nil {
				return err
			}
		}
	}
	return c.JSON(http.StatusOK, page)
}

// look adds to the page those at the front of list that are sought, as far as both take
// more, and returns the rest of list.
func (h Handler) look(c echo.Context, look *streamSearch, list []streams.Stream, page *StreamPage) ([]streams.Stream, error) {
	var sought []streams.Stream
	for len(list) > 0 && page.Looked < maxLooked && len(sought) < look.limit-len(page.Streams) {
		s := list[0]
		list = list[1:]
		look.last = streamPlace{s.Owner, s.Created.UnixNano(), s.ID}
		page.Looked++
		if look.matches(s) {
			sought = append(sought, s)
		}
	}
	all, err := h.describeAll(c, sought)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if look.has == nil || look.has(d) {
			page.Streams = append(page.Streams, d)
		}
	}
	return list, nil
}

// streamSearch is what a page of streams was asked for.
type streamSearch struct {
	q, method   string
	status      streams.Status
	has         func(Stream) bool // nil: anything
	limit       int
	after, last streamPlace
}

func newStreamSearch(c echo.Context) (*streamSearch, error) {
	look := &streamSearch{q: strings.ToLower(strings.TrimSpace(c.QueryParam("q"))), status: streams.Status(c.QueryParam("status")), limit: streamPage}
	if len(look.q) > maxSearch {
		return nil, request.Invalid("q", "is longer than 256 bytes")
	}
	if look.status != "" && !look.status.Valid() {
		return nil, request.Invalid("status", "is not enabled, paused or disabled")
	}
	switch c.QueryParam("method") {
	case "":
	case "push":
		look.method = delivery.MethodPush
	case "poll":
		look.method = delivery.MethodPoll
	default:
		return nil, request.Invalid("method", "is neither push nor poll")
	}
	switch c.QueryParam("has") {
	case "":
	case hasQueued:
		look.has = func(s Stream) bool { return s.Queued > 0 }
	case hasDeadLetters:
		look.has = func(s Stream) bool { return s.DeadLetters > 0 }
	case hasFailures:
		look.has = func(s Stream) bool { return s.Failures > 0 || s.Refusals > 0 }
	default:
		return nil, request.Invalid("has", "is not queued, dead_letters or failures")
	}
	if text := c.QueryParam("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxStreamPage {
			return nil, request.Invalid("limit", "is not a number from 1 to 200")
		}
		look.limit = n
	}
	var err error
	look.after, err = parseStreamPlace(c.QueryParam("after"))
	return look, err
}

func (q *streamSearch) matches(s streams.Stream) bool {
	if q.status != "" && s.Status != q.status || q.method != "" && s.Delivery.Method != q.method {
		return false
	}
	if q.q == "" {
		return true
	}
	application, _ := streams.ApplicationOf(s.Owner)
	texts := []string{s.ID, application, s.Description}
	if u, err := url.Parse(s.Delivery.EndpointURL); err == nil && s.Delivery.Method == delivery.MethodPush {
		texts = append(texts, u.Host)
	}
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(strings.ToLower(text), q.q) })
}

// streamPlace is where a page ended: at a stream, which may be gone by now. Zero: the start.
type streamPlace struct {
	owner   string
	created int64 // in nanoseconds of Unix time
	id      string
}

// String is an after.
func (p streamPlace) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(p.owner + "\n" + strconv.FormatInt(p.created, 10) + "\n" + p.id))
}

// parseStreamPlace reads an after. Error: streams.ErrPlace.
func parseStreamPlace(text string) (p streamPlace, err error) {
	if text == "" {
		return p, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return p, streams.ErrPlace
	}
	parts := strings.Split(string(raw), "\n")
	if len(parts) != 3 {
		return p, streams.ErrPlace
	}
	p.owner, p.id = parts[0], parts[2]
	if p.created, err = strconv.ParseInt(parts[1], 10, 64); err != nil {
		return p, streams.ErrPlace
	}
	return p, nil
}

// rest returns those of a list, owner by owner, that come after the place.
func (p streamPlace) rest(list []streams.Stream) []streams.Stream {
	if i := slices.IndexFunc(list, func(s streams.Stream) bool { return s.ID == p.id }); p.id != "" && i >= 0 {
		return list[i+1:]
	}
	after := time.Unix(0, p.created)
	i := slices.IndexFunc(list, func(s streams.Stream) bool { return s.Owner != p.owner || s.Created.After(after) })
	if i < 0 {
		return nil
	}
	return list[i:]
}
