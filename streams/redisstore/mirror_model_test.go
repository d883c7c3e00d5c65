package redisstore_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/storetest"
)

// Whatever two processes change, what a holder answers from memory is what the server's
// script answers, and the model.
func TestMirrorIsExact(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config) {
		cfg = fresh(cfg)
		w := &world{T: t, model: storetest.NewMemory(storetest.Options{})}
		w.stores[0], w.stores[1] = join(t, cfg, redisstore.Config{}), join(t, cfg, redisstore.Config{})
		w.stores[0].LoadPages(3)
		w.parts, _ = w.stores[0].hold(t)
		rapid.Check(t, w.run)
	})
}

// world is a place of storage with two processes, the first of which holds all partitions,
// and the model beside.
type world struct {
	*testing.T
	stores [2]*joined
	parts  []streams.Partition
	model  *storetest.Memory
	made   int // streams
	head   uint64
}

// run does what comes to mind to streams of its own.
func (w *world) run(t *rapid.T) {
	var ids []string
	both := func(what string, call func(streams.Store) (any, error)) {
		t.Helper()
		got, err := call(w.stores[rapid.IntRange(0, 1).Draw(t, "process")].Store)
		want, wantErr := call(w.model)
		if fmt.Sprint(got, err) != fmt.Sprint(want, wantErr) {
			t.Fatalf("%s: got %v, %v, want %v, %v", what, got, err, want, wantErr)
		}
	}
	stream := func() string {
		if len(ids) == 0 {
			t.Skip("no stream")
		}
		return rapid.SampledFrom(ids).Draw(t, "stream")
	}
	remove := func(id string) {
		both("Delete", func(s streams.Store) (any, error) { return nil, s.Delete(w.Context(), id) })
		for i := range ids {
			if ids[i] == id {
				ids = append(ids[:i], ids[i+1:]...)
				return
			}
		}
	}
	defer func() {
		for len(ids) > 0 {
			remove(ids[0])
		}
	}()
	t.Repeat(map[string]func(*rapid.T){
		"create": func(t *rapid.T) {
			w.made++
			id := fmt.Sprint("r", w.made)
			ids = append(ids, id)
			one := some(id, drawOwner(t), drawDefault(t), drawTypes(t)...)
			both("Create", func(s streams.Store) (any, error) { return nil, s.Create(w.Context(), one, 0) })
		},
		"update": func(t *rapid.T) {
			id, change := stream(), drawChange(t)
			both("Update", func(s streams.Store) (any, error) {
				_, err := s.Update(w.Context(), id, func(s *streams.Stream) ([]streams.Item, error) {
					change(s)
					return nil, nil
				})
				return nil, err
			})
		},
		"delete": func(t *rapid.T) {
			if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
				remove(stream())
			}
		},
		"add": func(t *rapid.T) {
			id, sub := stream(), drawSubject(t)
			both("Add", func(s streams.Store) (any, error) { return nil, s.Add(w.Context(), id, sub, 0) })
		},
		"remove": func(t *rapid.T) {
			id, sub := stream(), drawSubject(t)
			both("Remove", func(s streams.Store) (any, error) { return nil, s.Remove(w.Context(), id, sub, 0) })
		},
		"forget": func(t *rapid.T) {
			if rapid.IntRange(0, 3).Draw(t, "forget") > 0 {
				return
			}
			owner, sub := rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "owner"), drawSubject(t)
			both("Forget", func(s streams.Store) (any, error) { return s.Forget(w.Context(), owner, sub) })
		},
		"load anew": func(t *rapid.T) {
			if rapid.IntRange(0, 5).Draw(t, "load") == 0 {
				part := rapid.IntRange(0, streams.Partitions-1).Draw(t, "partition")
				must(w.T, w.stores[0].db.Client().Del(w.Context(), fmt.Sprintf("%s:{p%02d}:changes", w.stores[0].db.Prefix(), part)).Err())
			}
		},
		"match": func(t *rapid.T) {
			w.head++
			for range rapid.IntRange(1, 3).Draw(t, "queries") {
				w.compare(t, drawQuery(t, w.head))
			}
		},
	})
	w.head++
	w.compare(t, drawQuery(t, w.head))
}

// compare asks the holder, the script and the model. Streams begin within the first 1000
// records, before and after which a query may be.
func (w *world) compare(t *rapid.T, q streams.Query) {
	t.Helper()
	got := told(matchAll(t, w.parts, q))
	script, err := w.stores[1].Match(w.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := w.model.Match(w.Context(), q)
	if got != told(want) || got != told(script) {
		t.Fatalf("%+v: got %s, the script %s, want %s", q, got, told(script), told(want))
	}
}

func drawOwner(t *rapid.T) string { return rapid.SampledFrom([]string{"a", "b"}).Draw(t, "owner") }

func drawDefault(t *rapid.T) streams.DefaultSubjects {
	return rapid.SampledFrom([]streams.DefaultSubjects{streams.SubjectsAll, streams.SubjectsNone}).Draw(t, "default")
}

func drawTypes(t *rapid.T) []string {
	return rapid.SampledFrom([][]string{{typeA}, {typeA}, {typeA, typeB}, {typeB, typeC}, {}}).Draw(t, "types")
}

func drawChange(t *rapid.T) func(*streams.Stream) {
	status := rapid.SampledFrom([]streams.Status{streams.Enabled, streams.Paused, streams.Disabled}).Draw(t, "status")
	types, all, from := drawTypes(t), drawDefault(t), rapid.Uint64Range(0, 2).Draw(t, "from")
	return rapid.SampledFrom([]func(*streams.Stream){
		func(s *streams.Stream) { s.Status = status },
		func(s *streams.Stream) { s.Status, s.Epoch = status, s.Epoch+1 },
		func(s *streams.Stream) { s.EventsDelivered = types },
		func(s *streams.Stream) { s.DefaultSubjects = all },
		func(s *streams.Stream) { s.From = from },
		func(s *streams.Stream) { s.Description = "another" },
	}).Draw(t, "change")
}

func drawQuery(t *rapid.T, head uint64) streams.Query {
	q := streams.Query{
		Seq: rapid.Uint64Range(1, 3).Draw(t, "seq"), Head: head + 3,
		Type:   rapid.SampledFrom([]string{typeA, typeA, typeB, typeC, "unknown"}).Draw(t, "type"),
		Owners: rapid.SampledFrom([][]string{nil, nil, {"a"}, {"b", "a", "b"}, {"c"}, {}}).Draw(t, "owners"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "subjects") {
		q.Subjects = append(q.Subjects, drawSubject(t))
	}
	return q
}

// drawSubject draws one of a few subjects that have much in common.
func drawSubject(t *rapid.T) subject.Identifier {
	value := func(name string) subject.Identifier {
		return subject.Opaque(rapid.SampledFrom([]string{"1", "2"}).Draw(t, name))
	}
	if rapid.IntRange(0, 2).Draw(t, "complex") == 0 {
		return value("id")
	}
	members := make(map[string]subject.Identifier)
	for _, name := range []string{"user", "tenant", "device"} {
		if rapid.Bool().Draw(t, "has "+name) {
			members[name] = value(name)
		}
	}
	if len(members) == 0 {
		members["user"] = value("user")
	}
	id, err := subject.Complex(members)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
