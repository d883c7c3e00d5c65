package receivers

import (
	"context"
	"slices"

	"github.com/tocsin-ssf/tocsin/conformance"
)

// checks returns all checks: for each method what a well-behaved transmitter sees, then
// what one sees that does not behave, then what needs a fresh receiver.
func (s *suite) checks() []conformance.Check {
	var list []conformance.Check
	for _, method := range s.cfg.methods() {
		list = append(list, s.arrival(method))
		list = append(list, s.goodSets(method)...)
		list = append(list, s.badSets(method)...)
		list = append(list, s.aboutStream(method)...)
		if method == push {
			list = append(list, s.pushes()...)
		} else {
			list = append(list, s.polls()...)
		}
		list = append(list, s.keys(method), s.requests(method))
	}
	list = append(list, s.fresh()...)
	if s.cfg.Push && s.cfg.Poll {
		list = append(list, s.both())
	}
	return list
}

// probing is a check that sends probes to the receiver of a method.
func (s *suite) probing(method, name, title string, probes func(at *site) []probe) conformance.Check {
	var ids []string
	for _, p := range probes(&site{suite: s}) {
		ids = append(ids, p.ids...)
	}
	slices.Sort(ids)
	return s.at(method, name, title, slices.Compact(ids), func(ctx context.Context, t *conformance.T, at *site) error {
		return at.run(ctx, t, probes(at))
	})
}

// at is a check of the main site of a method.
func (s *suite) at(method, name, title string, ids []string, run func(ctx context.Context, t *conformance.T, at *site) error) conformance.Check {
	return conformance.Check{Name: method + "-" + name, Title: title + " (" + method + ")", Decides: ids, Run: func(ctx context.Context, t *conformance.T) error {
		at, err := s.main(ctx, method)
		if err != nil {
			return err
		}
		return run(ctx, t, at)
	}}
}
