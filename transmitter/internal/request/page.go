package request

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// Bounds of a page of applications, clients, webhooks or gates.
const (
	listPage    = 50  // entries of a page that says nothing of limit
	maxListPage = 200 // the most that limit may say
	// maxPageSearch and maxAfter bound q and after, in bytes.
	maxPageSearch = 256
	maxAfter      = 1024
)

// PageQuery is what a list was asked for.
type PageQuery struct {
	q     string // in lower case
	limit int
	after Place
}

// WantsPage reports whether a page of a list is asked for, by ?q=, ?limit= or ?after=.
// Without any of them the list is answered whole.
func WantsPage(c echo.Context) bool {
	query := c.QueryParams()
	return query.Has("q") || query.Has("limit") || query.Has("after")
}

// ParsePage reads what a page is asked for. Error: a refusal.
func ParsePage(c echo.Context) (p PageQuery, err error) {
	p = PageQuery{q: strings.ToLower(strings.TrimSpace(c.QueryParam("q"))), limit: listPage}
	if len(p.q) > maxPageSearch {
		return p, Invalid("q", "is longer than 256 bytes")
	}
	if text := c.QueryParam("limit"); text != "" {
		if p.limit, err = strconv.Atoi(text); err != nil || p.limit < 1 || p.limit > maxListPage {
			return p, Invalid("limit", "is not a number from 1 to 200")
		}
	}
	p.after, err = parsePlace(c.QueryParam("after"))
	return p, err
}

// Place is that of an entry in its list, which is in this order.
type Place struct {
	group   string // what is before creation in the order: a webhook's application
	created int64  // in milliseconds of Unix time
	id      string
}

// PlaceOf returns the place of an entry; group is "" where nothing is before creation.
func PlaceOf(group string, created time.Time, id string) Place {
	return Place{group, created.UnixMilli(), id}
}

func (p Place) compare(o Place) int {
	return cmp.Or(strings.Compare(p.group, o.group), cmp.Compare(p.created, o.created), strings.Compare(p.id, o.id))
}

// String is an after.
func (p Place) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(p.group + "\n" + strconv.FormatInt(p.created, 10) + "\n" + p.id))
}

// parsePlace reads an after. Error: errPlace().
func parsePlace(text string) (p Place, err error) {
	if text == "" {
		return p, nil
	}
	if len(text) > maxAfter {
		return p, errPlace()
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	parts := strings.Split(string(raw), "\n")
	if err != nil || len(parts) != 3 {
		return p, errPlace()
	}
	p.group, p.id = parts[0], parts[2]
	if p.created, err = strconv.ParseInt(parts[1], 10, 64); err != nil {
		return p, errPlace()
	}
	return p, nil
}

// PageOf returns the page of a list that is asked for, and the after of the next one; "": it
// was the last. texts are what q is a part of.
func PageOf[T any](p PageQuery, list []T, place func(*T) Place, texts func(*T) []string) (page []T, next string) {
	page = []T{}
	for i := range list {
		one := &list[i]
		at := place(one)
		if p.after.id != "" && at.compare(p.after) <= 0 {
			continue
		}
		if p.q != "" && !slices.ContainsFunc(texts(one), func(text string) bool { return strings.Contains(strings.ToLower(text), p.q) }) {
			continue
		}
		if len(page) == p.limit {
			return page, place(&page[len(page)-1]).String()
		}
		page = append(page, *one)
	}
	return page, ""
}

func errPlace() error { return Invalid("after", "is not the next of a page") }
