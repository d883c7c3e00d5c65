package eventapi

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

const (
	defaultLimit  = 10
	defaultPeriod = 7 * 24 * time.Hour
	maxValue      = 1 << 10 // bytes of a filter's value
	maxSubject    = 4 << 10 // bytes of a subject identifier
	maxCursorText = 256     // bytes of a search's cursor

	paramCursor    = "cursor"
	paramLimit     = "limit"
	paramTotalHits = "total_hits"
	paramStart     = "start"
	prefixSignal   = "signals."
	prefixTag      = "tags."
)

// ask is a search as it was asked for.
type ask struct {
	eventlog.Query
	fields fields
	cursor string
	// filters are the parameters that a cursor is bound to, in one order.
	filters string
	started bool // start was given
}

// parseAsk reads the parameters of a search. Error: a *request.Error that names
// the parameter.
func parseAsk(values url.Values) (*ask, error) {
	a := &ask{Query: eventlog.Query{Limit: defaultLimit}}
	bound := url.Values{}
	terms := 0
	for name, given := range values {
		if err := a.read(name, given); err != nil {
			return nil, err
		}
		switch name {
		case paramCursor, paramLimit, paramTotalHits, paramFields:
		default:
			terms += len(given)
			bound[name] = slices.Sorted(slices.Values(given))
		}
	}
	if terms > eventlog.MaxTerms {
		return nil, request.Invalid("", fmt.Sprintf("there are more than %d filters", eventlog.MaxTerms))
	}
	a.filters = bound.Encode()
	return a, nil
}

// read reads one parameter.
func (a *ask) read(name string, given []string) error {
	for _, value := range given {
		if most := maxBytes(name); len(value) > most {
			return request.Invalid(known(name), fmt.Sprintf("is longer than %d bytes", most))
		}
	}
	if list := a.list(name); list != nil {
		if slices.Contains(given, "") {
			return request.Invalid(name, "is empty")
		}
		*list = given
		return nil
	}
	switch name {
	case "subject":
		return a.subjects(given)
	case "ip_address":
		return a.addresses(given)
	case paramFields:
		var err error
		a.fields, err = parseFields(given)
		return err
	}
	single, err := a.single(name)
	if err != nil {
		return err
	}
	if len(given) > 1 {
		return request.Invalid(known(name), "is given more than once")
	}
	if why := single(given[0]); why != "" {
		return request.Invalid(known(name), why)
	}
	return nil
}

func maxBytes(name string) int {
	if name == "subject" {
		return maxSubject
	}
	return maxValue
}

// known bounds a name that is repeated to its sender.
func known(name string) string { return name[:min(len(name), maxNameBytes)] }

// list returns where the values of a parameter go that may be repeated.
func (a *ask) list(name string) *[]string {
	switch name {
	case "type":
		return &a.Types
	case "category":
		return &a.Categories
	case "source":
		return &a.Sources
	case "environment":
		return &a.Environments
	case "identifier":
		return &a.Identifiers
	case "email":
		return &a.Emails
	case "actor":
		return &a.Actors
	case "session":
		return &a.Sessions
	case "application":
		return &a.Applications
	case "linked_id":
		return &a.LinkedIDs
	case "fingerprint":
		return &a.Fingerprints
	}
	return nil
}

// single returns how the value of a parameter is read that comes once; it
// returns what is wrong with it. Error: there is no such parameter.
func (a *ask) single(name string) (func(string) string, error) {
	switch name {
	case "suspect":
		return func(v string) string { return parseBool(v, func(b bool) { a.Suspect = &b }) }, nil
	case "reverse":
		return func(v string) string { return parseBool(v, func(b bool) { a.Reverse = b }) }, nil
	case "min_risk_score":
		return a.score, nil
	case paramStart:
		a.started = true
		return func(v string) string { return parseTime(v, &a.Start) }, nil
	case "end":
		return func(v string) string { return parseTime(v, &a.End) }, nil
	case paramLimit:
		return func(v string) string { return parseNumber(v, eventlog.MaxLimit, &a.Limit) }, nil
	case paramTotalHits:
		return func(v string) string { return parseNumber(v, eventlog.MaxTotalHits, &a.TotalHits) }, nil
	case paramCursor:
		return func(v string) string {
			if a.cursor = v; v == "" || len(v) > maxCursorText {
				return "is not a cursor of ours"
			}
			return ""
		}, nil
	}
	if signal, ok := strings.CutPrefix(name, prefixSignal); ok && signal != "" {
		return func(v string) string {
			return parseBool(v, func(b bool) {
				if a.Signals == nil {
					a.Signals = make(map[string]bool)
				}
				a.Signals[signal] = b
			})
		}, nil
	}
	if tag, ok := strings.CutPrefix(name, prefixTag); ok && tag != "" {
		return func(v string) string {
			if a.Tags == nil {
				a.Tags = make(map[string]string)
			}
			a.Tags[tag] = v
			return ""
		}, nil
	}
	return nil, unknown(name)
}

func (a *ask) score(text string) string {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return "is not a number"
	}
	a.MinScore = &n
	return ""
}

func (a *ask) subjects(given []string) error {
	for _, text := range given {
		id, err := subject.Parse([]byte(text))
		if err != nil || !json.Valid([]byte(text)) {
			return request.Invalid("subject", "is not a subject identifier as JSON (RFC 9493)")
		}
		a.Subjects = append(a.Subjects, id)
	}
	return nil
}

// addresses reads addresses and networks. IPv4 within IPv6 is IPv4.
func (a *ask) addresses(given []string) error {
	for _, text := range given {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			bare, err := netip.ParseAddr(text)
			if err != nil || bare.Zone() != "" {
				return request.Invalid("ip_address", "is not an IPv4 or IPv6 address or network")
			}
			p = netip.PrefixFrom(bare, bare.BitLen())
		}
		if in := p.Addr(); in.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(in.Unmap(), p.Bits()-96)
		}
		a.Addresses = append(a.Addresses, p.Masked())
	}
	return nil
}

func parseBool(text string, set func(bool)) string {
	switch text {
	case "true":
		set(true)
	case "false":
		set(false)
	default:
		return "is neither true nor false"
	}
	return ""
}

func parseNumber(text string, most int, into *int) string {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return fmt.Sprintf("is not a number from 1 to %d", most)
	}
	*into = n
	return ""
}

// parseTime reads RFC 3339 or Unix milliseconds.
func parseTime(text string, into *time.Time) string {
	at, err := time.Parse(time.RFC3339Nano, text)
	if ms, notNumber := strconv.ParseInt(text, 10, 64); notNumber == nil {
		at, err = time.UnixMilli(ms), nil
	}
	if err != nil || at.UTC().Year() < 0 || at.UTC().Year() > 9999 {
		return "is neither a time of RFC 3339 nor Unix milliseconds"
	}
	if at.IsZero() { // the zero value is none
		at = at.Add(time.Millisecond)
	}
	*into = at
	return ""
}
