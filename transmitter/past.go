package transmitter

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// pastTime bounds a look at what was known before: events wait for it.
const pastTime = time.Second

// past finds what a source recorded before, for the mapping, by the index.
type past struct {
	log   eventlog.Log
	index eventlog.Index
}

// Latest implements ingest.Past. While the index is being built nothing is known.
func (p past) Latest(ctx context.Context, source, identifier, fingerprint string, max int) ([]*eventlog.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, pastTime)
	defer cancel()
	q := eventlog.Query{Sources: []string{source}, Limit: max}
	if identifier != "" {
		q.Identifiers = []string{identifier}
	}
	if fingerprint != "" {
		q.Fingerprints = []string{fingerprint}
	}
	page, err := p.index.Search(ctx, &q)
	if behind(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	records := make([]*eventlog.Record, 0, len(page.Hits))
	for _, hit := range page.Hits {
		r, err := p.log.Record(ctx, hit.Seq)
		if errors.Is(err, eventlog.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.Kind == eventlog.KindEvent && !r.Erased {
			records = append(records, r)
		}
	}
	return records, nil
}
