package segments_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/segments"
)

// A file of a folder is read as the records that its name says, in their places, or is
// told to be none; what is erased of it is gone, and all else stays.
func FuzzEach(f *testing.F) {
	leaf := strings.Repeat("A", 43) + "="
	head := `{"format":"tocsin-log-segment/1","first":1,"last":2}` + "\n"
	one := `{"seq":1,"recorded_ms":5,"kind":1,"leaf":"` + leaf + `","salt":"AAAA","canonical":"e30="}` + "\n"
	two := `{"seq":2,"recorded_ms":6,"kind":9,"leaf":"` + leaf + `"}` + "\n"
	for _, text := range []string{head + one + two, head + two + one, head + one, head + one + two + two, "", "{}\n", head + strings.Replace(one, `"salt":"AAAA",`, "", 1) + two, strings.Replace(head, "/1", "/2", 1) + one + two} {
		f.Add([]byte(text), true)
		f.Add([]byte(text), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, packed bool) {
		var file bytes.Buffer
		if packed { // else the bytes are those of the file
			z := gzip.NewWriter(&file)
			_, err := z.Write(text)
			if err = errors.Join(err, z.Close()); err != nil {
				t.Fatal(err)
			}
		} else {
			file.Write(text)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%015d-%015d.jsonl.gz", 1, 2)), file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := records(t, dir)
		removed, eraseErr := segments.Erase(dir, []eventlog.Seqs{{2, 2}})
		if err != nil {
			if !errors.Is(err, segments.ErrFile) || len(before) > 2 {
				t.Fatalf("got %d records and %v, want ErrFile", len(before), err)
			}
			if eraseErr == nil {
				t.Fatalf("got %d records removed of what is no file", removed)
			}
			return
		}
		after, err := records(t, dir)
		if eraseErr != nil || err != nil || len(before) != 2 || len(after) != 2 {
			t.Fatalf("got %d, then %d records, %v, %v", len(before), len(after), eraseErr, err)
		}
		for i := range before {
			want := before[i]
			if want.Seq == 2 {
				want.Salt, want.Canonical = nil, nil
			}
			if want.Seq != uint64(i+1) || fmt.Sprintf("%+v", after[i]) != fmt.Sprintf("%+v", want) {
				t.Fatalf("got %+v, want %+v", after[i], want)
			}
		}
	})
}

func records(t *testing.T, dir string) (all []eventlog.Stored, err error) {
	t.Helper()
	files, err := segments.List(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("got %v (%v), want one file", files, err)
	}
	err = segments.Each(files[0], func(s eventlog.Stored) error {
		all = append(all, s)
		return nil
	})
	return all, err
}
