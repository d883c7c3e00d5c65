package receiver_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
)

func TestVerdicts(t *testing.T) {
	failure := errors.New("down")
	later := receiver.Later(failure, time.Minute)
	for _, tt := range []struct {
		name      string
		err       error
		permanent bool
		after     time.Duration
	}{
		{"none", nil, false, 0},
		{"plain", failure, false, 0},
		{"permanent", receiver.Permanent(failure), true, 0},
		{"wrapped permanent", fmt.Errorf("hook: %w", receiver.Permanent(failure)), true, 0},
		{"later", later, false, time.Minute},
		{"wrapped later", fmt.Errorf("hook: %w", later), false, time.Minute},
		{"longest of several", errors.Join(failure, later, receiver.Later(failure, 2*time.Minute)), false, 2 * time.Minute},
		{"bounded", receiver.Later(failure, 48*time.Hour), false, receiver.MaxLater},
		{"at once", receiver.Later(failure, 0), false, 0},
		{"later than nothing", receiver.Later(nil, time.Minute), false, 0},
	} {
		if got := receiver.IsPermanent(tt.err); got != tt.permanent {
			t.Errorf("%s: got permanent %v, want %v", tt.name, got, tt.permanent)
		}
		if got := receiver.After(tt.err); got != tt.after {
			t.Errorf("%s: got after %v, want %v", tt.name, got, tt.after)
		}
		if tt.err != nil && !errors.Is(tt.err, failure) {
			t.Errorf("%s: got an error that hides its cause, want it wrapped", tt.name)
		}
	}
}
