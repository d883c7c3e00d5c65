package guard_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// SEC-01, SEC-02: the limit is inclusive, and reading stops just behind it.
func TestReadBody(t *testing.T) {
	for _, tt := range []struct {
		name string
		body string
		want error
	}{
		{"empty", "", nil},
		{"at the limit", "12345", nil},
		{"above the limit", "123456", guard.ErrTooLarge},
		{"far above the limit", strings.Repeat("x", 1000), guard.ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := strings.NewReader(tt.body)
			got, err := guard.ReadBody(r, 5)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if read := len(tt.body) - r.Len(); read > 6 {
				t.Errorf("got %d bytes read, want at most 6", read)
			}
			if tt.want == nil && string(got) != tt.body {
				t.Errorf("got %q, want %q", got, tt.body)
			}
		})
	}
	if _, err := guard.ReadBody(iotest.ErrReader(io.ErrUnexpectedEOF), 5); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want the reader's error", err)
	}
}
