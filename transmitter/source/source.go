// Package source calls the APIs of the vendors whose systems feed Tocsin:
// OneLogin's and Fingerprint's lists of events, which are polled, and the
// look-up of one event at each of ID.me, OneLogin and Fingerprint.
//
// [OneLogin], [Fingerprint] and [IDme] speak to one API each, as it is
// documented (docs/sources.md), and read its errors as an [*Error]. [Pollers]
// poll every source that is configured for it (auth.VendorAPI), and hand the
// records on as they came. A poller keeps its place durably after the records
// of a page are; so a kill loses none, and those that come again have the
// source ids they had (contracts.md §2).
package source

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// Record is one record of a page, untouched.
type Record struct {
	// Time is when the vendor recorded it; zero if it does not say.
	Time time.Time
	JSON json.RawMessage
}

// Page is one answer of a list.
type Page struct {
	Records []Record
	// Next is the cursor of the page that follows; empty: this is the last.
	Next string
}

// Query asks for one page.
type Query struct {
	// Since is exclusive; whole milliseconds.
	Since time.Time
	// Cursor is the Next of the page before, with the same Since; empty: the
	// first page.
	Cursor string
	// Limit is the most records, 1 to the API's [List] Limit.
	Limit int
}

// List is an API that lists events, oldest first. Its methods may be called
// concurrently.
type List interface {
	// Events returns a page. Errors: an [*Error] for an answer that is not one;
	// any other is a failure on the way.
	Events(ctx context.Context, q Query) (Page, error)
	// Limit is the most records of a page.
	Limit() int
}

// Lookup is an API that returns one event by its id.
type Lookup interface {
	// Event returns the record with the vendor's id. Errors: an [*Error], with
	// Status 404 if there is none; any other is a failure on the way.
	Event(ctx context.Context, id string) (json.RawMessage, error)
}

// LookupOf returns the look-up of a source's API. client should be guarded
// (set/delivery/guard): the address is what somebody configured.
func LookupOf(kind string, api *auth.VendorAPI, client *http.Client) Lookup {
	switch kind {
	case auth.KindOneLogin:
		return NewOneLogin(api, client)
	case auth.KindFingerprint:
		return NewFingerprint(api, client)
	}
	return NewIDme(api, client)
}

// ErrNoTypes: the vendor's API does not tell the types of its events.
var ErrNoTypes = errors.New("source: the vendor's API has no list of types")

// TypesOf returns the types of events that a source's API tells. Errors:
// [ErrNoTypes]; else as those of [Lookup].
func TypesOf(ctx context.Context, kind string, api *auth.VendorAPI, client *http.Client) ([]mapping.Type, error) {
	if kind != auth.KindOneLogin {
		return nil, ErrNoTypes
	}
	return NewOneLogin(api, client).Types(ctx)
}

// listOf returns the list of a source's API, nil if it has none.
func listOf(kind string, api *auth.VendorAPI, client *http.Client) List {
	switch kind {
	case auth.KindOneLogin:
		return NewOneLogin(api, client)
	case auth.KindFingerprint:
		return NewFingerprint(api, client)
	}
	return nil
}
