package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

func isError(err, want error) bool { return errors.Is(err, want) }

// same compares values, times by instant.
func same(x *fixture, what string, got, want any) {
	x.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(0), cmp.Comparer(func(a, b subject.Identifier) bool { return a.Equal(b) })); diff != "" {
		x.Errorf("%s: got (+), want (-):\n%s", what, diff)
	}
}

// whole is a stream with every field set.
func whole(id string) streams.Stream {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	return streams.Stream{
		ID: id, Owner: "app", Issuer: "https://tx.example", Audience: []string{"a", "b"},
		EventsSupported: []string{typeA, typeB}, EventsRequested: []string{typeA, "urn:unknown"}, EventsDelivered: []string{typeA},
		Profile:                 "okta,aud=list",
		Encryption:              `{"enc":"A256GCM","key":{}}`,
		Delivery:                streams.Delivery{Method: delivery.MethodPush, FormerMethod: "https://former.example/push", EndpointURL: "https://rx.example", AuthorizationHeader: "Bearer x"},
		MinVerificationInterval: 30 * time.Second, InactivityTimeout: time.Hour, Description: "d <&> é",
		DefaultSubjects: streams.SubjectsNone, Status: streams.Paused, Reason: "r", StatusBy: streams.ByTransmitter,
		Epoch: 3, From: 17, Created: at, Active: at.Add(time.Second), VerificationRequested: at.Add(2 * time.Second),
	}
}

func registryCases() []testCase {
	return []testCase{
		{"CreateStoresAsGiven", func(x *fixture) {
			want := whole("s1")
			x.must(x.store.Create(x.ctx, want, 0))
			bare := streams.Stream{ID: "s2", Owner: "app", EventsDelivered: []string{}, Status: streams.Enabled}
			x.must(x.store.Create(x.ctx, bare, 0))
			for _, when := range []string{"at once", "after a clean end", "after a kill"} {
				got, err := x.store.Stream(x.ctx, "s1")
				x.must(err)
				same(x, when, got, want)
				got, err = x.store.Stream(x.ctx, "s2")
				x.must(err)
				same(x, when, got, bare)
				if when != "after a kill" {
					x.reopen(when != "at once")
				}
			}
		}},
		{"StreamsShareNoMemory", func(x *fixture) {
			x.stream("s1")
			got, err := x.store.Stream(x.ctx, "s1")
			x.must(err)
			got.Audience[0], got.EventsDelivered[0] = "changed", "changed"
			again, err := x.store.Stream(x.ctx, "s1")
			x.must(err)
			same(x, "after a change of the result", again.Audience, base("s1").Audience)
			same(x, "after a change of the result", again.EventsDelivered, base("s1").EventsDelivered)
		}},
		{"IDsAreNeverUsedTwice", func(x *fixture) {
			x.stream("s1")
			x.is("Create", x.store.Create(x.ctx, base("s1"), 0), streams.ErrExists)
			x.must(x.store.Delete(x.ctx, "s1"))
			x.is("Create after Delete", x.store.Create(x.ctx, base("s1"), 0), streams.ErrExists)
			x.reopen(true)
			x.is("Create after Delete and a kill", x.store.Create(x.ctx, base("s1"), 0), streams.ErrExists)
		}},
		{"LimitIsOneStepWithTheInsert", func(x *fixture) {
			var wg sync.WaitGroup
			errs := make([]error, 12)
			for i := range errs {
				wg.Go(func() { errs[i] = x.store.Create(x.ctx, base(fmt.Sprintf("s%d", i)), 3) })
			}
			wg.Wait()
			created := 0
			for _, err := range errs {
				if err == nil {
					created++
				} else {
					x.is("Create above the limit", err, streams.ErrConflict)
				}
			}
			equal(x, "streams created", created, 3)
			other := base("other")
			other.Owner = "app2"
			x.must(x.store.Create(x.ctx, other, 3))
			list, err := x.store.Streams(x.ctx, "app")
			x.must(err)
			equal(x, "streams listed", len(list), 3)
			x.must(x.store.Delete(x.ctx, list[0].ID))
			x.must(x.store.Create(x.ctx, base("later"), 3))
		}},
		{"UnknownIsNotFound", func(x *fixture) { x.nothingFound("unknown") }},
		{"StreamsInOrderOfCreation", func(x *fixture) {
			for _, id := range []string{"z", "a", "m"} {
				x.stream(id)
			}
			x.stream("other", func(s *streams.Stream) { s.Owner = "app2" })
			for range 2 {
				list, err := x.store.Streams(x.ctx, "app")
				x.must(err)
				var ids []string
				for _, s := range list {
					ids = append(ids, s.ID)
				}
				equal(x, "streams of app", strings.Join(ids, " "), "z a m")
				list, err = x.store.Streams(x.ctx, "nobody")
				x.must(err)
				equal(x, "streams of nobody", len(list), 0)
				x.reopen(true)
			}
		}},
		{"OwnersAreThoseWithAStream", func(x *fixture) {
			owners := func(what, want string) {
				list, err := x.store.Owners(x.ctx)
				x.must(err)
				slices.Sort(list)
				equal(x, what, strings.Join(list, " "), want)
			}
			owners("at first", "")
			x.stream("s1")
			x.stream("s2")
			x.stream("s3", func(s *streams.Stream) { s.Owner = "app2" })
			x.disable("s3")
			owners("of three streams", "app app2")
			x.must(x.store.Delete(x.ctx, "s1"))
			x.reopen(true)
			owners("of two", "app app2")
			x.must(x.store.Delete(x.ctx, "s2"))
			owners("of one", "app2")
			x.reopen(true)
			owners("after a kill", "app2")
		}},
		{"UpdateReturnsTheResultAndKeepsIt", func(x *fixture) {
			x.stream("s1")
			want := whole("s1")
			want.Created = time.Time{}
			got := x.update("s1", func(s *streams.Stream) { want.Created = s.Created; *s = want })
			same(x, "result", got, want)
			x.reopen(true)
			got, err := x.store.Stream(x.ctx, "s1")
			x.must(err)
			same(x, "after a kill", got, want)
		}},
		{"ErrorOfChangeEndsTheUpdate", func(x *fixture) {
			x.stream("s1")
			mine := errors.New("mine")
			_, err := x.store.Update(x.ctx, "s1", func(s *streams.Stream) ([]streams.Item, error) {
				s.Description, s.Epoch = "changed", 9
				return []streams.Item{control("s1", "c1")}, mine
			})
			equal(x, "error", err, mine)
			got, err := x.store.Stream(x.ctx, "s1")
			x.must(err)
			equal(x, "description", got.Description, "")
			equal(x, "epoch", got.Epoch, 1)
			equal(x, "queue", x.take("s1", 10), "")
		}},
		{"UpdateKeepsIDOwnerCreated", func(x *fixture) {
			x.stream("s1")
			before, err := x.store.Stream(x.ctx, "s1")
			x.must(err)
			_, _ = x.store.Update(x.ctx, "s1", func(s *streams.Stream) ([]streams.Item, error) {
				s.ID, s.Owner, s.Created = "s2", "thief", s.Created.Add(time.Hour)
				return nil, nil
			})
			after, err := x.store.Stream(x.ctx, "s1")
			x.must(err)
			same(x, "stream", after, before)
			_, err = x.store.Stream(x.ctx, "s2")
			x.is("Stream by the other id", err, streams.ErrNotFound)
		}},
		// SSF-8.1.5-01: before the stream stops.
		{"ItemsOfUpdateComeBeforeTheStatus", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2)
			_, err := x.store.Update(x.ctx, "s1", func(s *streams.Stream) ([]streams.Item, error) {
				s.Status, s.Epoch = streams.Disabled, s.Epoch+1
				return []streams.Item{updated("s1", "u1")}, nil
			})
			x.must(err)
			x.reopen(true)
			equal(x, "Take of a disabled stream", x.take("s1", 10), "u1")
		}},
		// U16, U18.
		{"RaisedEpochPurges", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2, 3)
			x.put(control("s1", "c1"), updated("s1", "u1"))
			x.settle("s1", streams.Refused, "e1")
			equal(x, "Take", x.take("s1", 1), "c1")
			x.disable("s1")
			equal(x, "items after disabling", x.depth("s1").Items, 1)
			equal(x, "leased after disabling", x.depth("s1").Leased, 0)
			equal(x, "late acknowledgements", jtis(x.settle("s1", streams.Delivered, "c1", "e2")), "")
			x.setStatus("s1", streams.Enabled)
			equal(x, "Take after enabling", x.take("s1", 10), "u1")
			equal(x, "dead letters", x.dead("s1"), "e1")
			x.reopen(true)
			equal(x, "Take after a kill", x.take("s1", 10), "u1")
			equal(x, "acknowledged", jtis(x.settle("s1", streams.Delivered, "u1")), "u1")
			equal(x, "items at the end", x.depth("s1").Items, 0)
		}},
		{"SameEpochKeepsTheQueue", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2)
			x.setStatus("s1", streams.Paused)
			x.setStatus("s1", streams.Enabled)
			equal(x, "Take after a pause", x.take("s1", 10), "e1 e2")
		}},
		{"EnablingAndANewDeliveryClearTheHealth", func(x *fixture) {
			healthOf := func() streams.Health {
				h, err := x.store.Health(x.ctx, "s1")
				x.must(err)
				return h
			}
			x.stream("s1")
			x.events("s1", 1)
			for _, c := range []struct {
				name    string
				change  func(*streams.Stream)
				cleared bool
			}{
				{"enabled as before", func(s *streams.Stream) { s.Status, s.Reason = streams.Enabled, "again" }, false},
				{"paused", func(s *streams.Stream) { s.Status = streams.Paused }, false},
				{"enabled", func(s *streams.Stream) { s.Status = streams.Enabled }, true},
				{"another endpoint", func(s *streams.Stream) { s.Delivery.EndpointURL += "/new" }, true},
				{"another authorization", func(s *streams.Stream) { s.Delivery.AuthorizationHeader = "Bearer new" }, true},
			} {
				bad := streams.Health{Failures: 3, NextDue: time.Now().UTC().Add(time.Hour), Refusals: 2, LastError: "timeout"}
				_, err := x.store.Settle(x.ctx, "s1", nil, &bad)
				x.must(err)
				x.ready()
				x.update("s1", c.change)
				want, due := bad, ""
				if c.cleared {
					want, due = streams.Health{}, "s1"
				}
				same(x, c.name+": health", healthOf(), want)
				equal(x, c.name+": Ready", x.ready(), due)
				x.reopen(true)
				same(x, c.name+": health after a kill", healthOf(), want)
			}
		}},
		{"DeleteErases", func(x *fixture) {
			x.stream("s1")
			x.stream("s2")
			x.must(x.store.Add(x.ctx, "s1", subject.Email("a@example.com"), 0))
			x.events("s1", 1, 2)
			x.settle("s1", streams.Refused, "e1")
			x.must(x.store.Delete(x.ctx, "s1"))
			x.nothingFound("s1")
			equal(x, "Match", x.match(9, subject.Email("a@example.com")), "s2:-1")
			x.reopen(true)
			x.nothingFound("s1")
			total, _, err := x.store.Depths(x.ctx, 10)
			x.must(err)
			equal(x, "items and dead letters of all", total.Items+total.Dead, 0)
		}},
	}
}

// nothingFound checks that every method answers ErrNotFound.
func (x *fixture) nothingFound(id string) {
	x.Helper()
	s, ctx, mail := x.store, x.ctx, subject.Email("a@example.com")
	_, err := s.Stream(ctx, id)
	x.is("Stream", err, streams.ErrNotFound)
	_, err = s.Update(ctx, id, func(*streams.Stream) ([]streams.Item, error) {
		x.Errorf("Update of %s: change was called, want not", id)
		return nil, nil
	})
	x.is("Update", err, streams.ErrNotFound)
	x.is("Delete", s.Delete(ctx, id), streams.ErrNotFound)
	x.is("Add", s.Add(ctx, id, mail, 0), streams.ErrNotFound)
	x.is("Remove", s.Remove(ctx, id, mail, 0), streams.ErrNotFound)
	_, err = s.SubjectCount(ctx, id)
	x.is("SubjectCount", err, streams.ErrNotFound)
	for _, wait := range []bool{false, true} {
		_, err = s.Take(ctx, id, streams.TakeOptions{Max: 1, Lease: lease, Wait: wait})
		x.is("Take", err, streams.ErrNotFound)
	}
	_, err = s.Settle(ctx, id, []streams.Outcome{{ID: "e1"}}, nil)
	x.is("Settle", err, streams.ErrNotFound)
	_, err = s.More(ctx, id)
	x.is("More", err, streams.ErrNotFound)
	_, err = s.Health(ctx, id)
	x.is("Health", err, streams.ErrNotFound)
	_, err = s.Depth(ctx, id)
	x.is("Depth", err, streams.ErrNotFound)
	_, err = s.Purge(ctx, id)
	x.is("Purge", err, streams.ErrNotFound)
	_, _, err = s.DeadLetters(ctx, id, "", 1)
	x.is("DeadLetters", err, streams.ErrNotFound)
	x.is("Resend", s.Resend(ctx, id, "e1"), streams.ErrNotFound)
	x.is("Drop", s.Drop(ctx, id, "e1"), streams.ErrNotFound)
	equal(x, "Put", report(x.events(id, 5)), report(streams.PutReport{Gone: 1}))
	s.Touch(ctx, id, time.Now())
}

func activityCases() []testCase {
	const timeout = time.Hour
	limited := func(s *streams.Stream) { s.InactivityTimeout = timeout }
	inactive := func(x *fixture) string {
		ids, err := x.store.Inactive(x.ctx, time.Now(), 10)
		x.must(err)
		list := make([]streams.Item, len(ids))
		for i := range ids {
			list[i].ID = ids[i]
		}
		return sorted(list)
	}
	return []testCase{
		{"TouchIsSavedWithinAMinute", func(x *fixture) {
			x.stream("s1")
			time.Sleep(10 * time.Second)
			at := time.Now().UTC()
			x.store.Touch(x.ctx, "s1", at)
			got, err := x.store.Stream(x.ctx, "s1")
			x.must(err)
			same(x, "Active at once", got.Active, at)
			time.Sleep(time.Minute + time.Second)
			x.reopen(true)
			got, err = x.store.Stream(x.ctx, "s1")
			x.must(err)
			same(x, "Active after a minute and a kill", got.Active, at)
			at = time.Now().UTC()
			x.store.Touch(x.ctx, "s1", at)
			x.store.Touch(x.ctx, "s1", at.Add(-time.Second))
			x.reopen(false)
			got, err = x.store.Stream(x.ctx, "s1")
			x.must(err)
			same(x, "Active after a clean end", got.Active, at)
		}},
		{"InactiveFindsStreams", func(x *fixture) {
			x.stream("plain")
			x.stream("limited", limited)
			x.stream("touched", limited)
			x.stream("held", limited, paused)
			x.stream("imposed", limited, paused, func(s *streams.Stream) { s.StatusBy = streams.ByTransmitter })
			x.stream("disabled", limited, func(s *streams.Stream) { s.Status = streams.Disabled })
			time.Sleep(timeout - time.Second)
			equal(x, "before the timeout", inactive(x), "")
			x.store.Touch(x.ctx, "touched", time.Now())
			time.Sleep(time.Second)
			equal(x, "at the timeout", inactive(x), "held limited")
			equal(x, "again", inactive(x), "held limited")
			x.reopen(false)
			equal(x, "after a restart", inactive(x), "held limited")
			x.setStatus("disabled", streams.Enabled)
			x.must(x.store.Delete(x.ctx, "held"))
			x.update("limited", func(s *streams.Stream) { s.Status, s.StatusBy = streams.Paused, streams.ByTransmitter })
			equal(x, "after changes", inactive(x), "disabled")
			time.Sleep(timeout)
			equal(x, "later", inactive(x), "disabled touched")
			ids, err := x.store.Inactive(x.ctx, time.Now(), 1)
			x.must(err)
			equal(x, "up to max", len(ids), 1)
		}},
	}
}
