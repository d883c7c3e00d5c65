package redisstore

import (
	"strconv"

	"github.com/tocsin-ssf/tocsin/streams"
)

// statusDisabled is the status of a disabled stream as scripts have it.
const statusDisabled = "d"

// facts are what scripts need to know of a stream (lua/registry.lua).
type facts struct {
	status, by  string
	epoch, from uint64
	all, push   bool
	timeout     int64 // ms
	types       []string
}

func factsOf(s *streams.Stream) (facts, error) {
	f := facts{
		epoch: s.Epoch, from: s.From, all: s.DefaultSubjects != streams.SubjectsNone, push: s.Delivery.Pushed(),
		timeout: millis(s.InactivityTimeout), types: s.EventsDelivered,
	}
	if s.Epoch > maxSeq || s.From > maxSeq {
		return f, errRange
	}
	switch s.Status {
	case streams.Paused:
		f.status = "p"
	case streams.Disabled:
		f.status = statusDisabled
	default:
		f.status = "e"
	}
	switch s.StatusBy {
	case streams.ByReceiver:
		f.by = "r"
	case streams.ByTransmitter:
		f.by = "t"
	default:
		f.by = "o"
	}
	return f, nil
}

// args are the facts as scripts take them; active (ns) below zero: as it was.
func (f *facts) args(active int64) []any {
	at := ""
	if active >= 0 {
		at = strconv.FormatInt(active, 10)
	}
	args := []any{f.status, f.epoch, f.from, flag(f.all), flag(f.push), f.by, f.timeout, at, len(f.types)}
	for _, t := range f.types {
		args = append(args, t)
	}
	return args
}
