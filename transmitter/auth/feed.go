package auth

import (
	"context"
	"fmt"
	"slices"
)

// A source may have several credentials, for example while one replaces the
// other. They are one feed: repetitions are told by (source, source id), so
// what one of them wrote counts as written by all. Hence their events must be
// for the same applications and of the same environment; else an event that
// one of them sends second would be taken for a repetition, and nobody that it
// is for would hear of it (contracts.md §1, §2).

// writes returns the source that a client is; nil for one that cannot write events.
func (c *Client) writes() *Source {
	if c.Source != nil {
		return c.Source
	}
	if Sufficient(c.Scopes, OpWriteEvents) {
		return &Source{Name: c.ID}
	}
	return nil
}

// disagrees returns the member in which two credentials of one source differ
// though they may not; empty: in none.
func (c *Client) disagrees(other *Client) string {
	mine, others := c.writes(), other.writes()
	switch {
	case mine == nil || others == nil || mine.Name != others.Name:
		return ""
	case !sameValues(mine.Applications, others.Applications):
		return "source.applications"
	case c.Environment != other.Environment:
		return "environment"
	}
	return ""
}

// sameValues compares two lists of a source: nil stands for all.
func sameValues(a, b []string) bool {
	if (a == nil) != (b == nil) {
		return false
	}
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// feedFits reports whether a client can be added beside the other credentials
// of its source.
func feedFits(tx *Tx, c *Client) error {
	source := c.writes()
	if source == nil {
		return nil
	}
	others, err := tx.Clients.List(ByFeed, source.Name)
	if err != nil {
		return err
	}
	for i := range others {
		if member := c.disagrees(&others[i].Client); member != "" {
			return &InvalidError{member, fmt.Sprintf(
				"must be as of client %s, which is a credential of the same source %s: events of one could be taken for repetitions of the other's; take another name for the source, or remove that client",
				others[i].ID, source.Name)}
		}
	}
	return nil
}

// TornSources returns the names of sources whose credentials disagree about
// the applications or the environment of their events, in order. They can be
// of an earlier version alone, which let them in.
func (s *Store) TornSources(ctx context.Context) ([]string, error) {
	all, err := s.Clients(ctx, "")
	if err != nil {
		return nil, err
	}
	first := make(map[string]*Client)
	var torn []string
	for i := range all {
		source := all[i].writes()
		if source == nil {
			continue
		}
		other, known := first[source.Name]
		if !known {
			first[source.Name] = &all[i]
		} else if other.disagrees(&all[i]) != "" && !slices.Contains(torn, source.Name) {
			torn = append(torn, source.Name)
		}
	}
	slices.Sort(torn)
	return torn, nil
}
