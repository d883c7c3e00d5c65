package script

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/client"
)

// Report says how a script went.
type Report struct {
	Issuer string        `json:"issuer"`
	Passed bool          `json:"passed"`
	Took   time.Duration `json:"-"`
	TookMS int64         `json:"took_ms"`
	Steps  []StepReport  `json:"steps"`
}

// Results of a step.
const (
	Passed  = "passed"
	Failed  = "failed"
	Skipped = "skipped" // a step before it failed
)

// StepReport says how one step went.
type StepReport struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Result string `json:"result"`
	TookMS int64  `json:"took_ms"`
	Why    string `json:"why,omitempty"` // it failed
	// Seen is what the transmitter said, without secrets.
	Seen any `json:"seen,omitempty"`
}

// act is what a step does. It returns what it saw, for the report and for Expect, also
// where it failed.
type act interface {
	do(ctx context.Context, w *world) (seen any, err error)
}

// Run runs the steps and returns the report; tell, if not nil, hears of each step. The
// error says that the script could not begin.
func (s *Script) Run(ctx context.Context, logger *slog.Logger, tell func(StepReport)) (Report, error) {
	w, err := s.open(ctx, logger)
	if err != nil {
		return Report{}, err
	}
	began := time.Now()
	r := Report{Issuer: s.Issuer.Issuer, Passed: true, Steps: []StepReport{}}
	for _, one := range s.steps {
		report := StepReport{Name: one.Name, Kind: one.kind, Result: Skipped}
		// A step that cleans up has its turn also when the whole is interrupted.
		if r.Passed && ctx.Err() == nil || one.Always {
			report = w.step(context.WithoutCancel(ctx), ctx.Done(), one)
		}
		r.Passed = r.Passed && report.Result == Passed
		r.Steps = append(r.Steps, report)
		if tell != nil {
			tell(report)
		}
	}
	r.Took = time.Since(began)
	r.TookMS = r.Took.Milliseconds()
	return r, w.close()
}

// step runs one step with its deadline.
func (w *world) step(ctx context.Context, interrupted <-chan struct{}, s step) StepReport {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	if !s.Always {
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			select {
			case <-interrupted:
				cancel()
			case <-stop:
			}
		}()
	}
	began := time.Now()
	seen, err := w.perform(ctx, s)
	report := StepReport{Name: s.Name, Kind: s.kind, Result: Passed, TookMS: time.Since(began).Milliseconds(), Seen: seen}
	if err != nil {
		report.Result, report.Why = Failed, err.Error()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			report.Why = fmt.Sprintf("not within %s: %v", s.Timeout, err)
		}
	}
	return report
}

// perform runs a step and judges what it saw.
func (w *world) perform(ctx context.Context, s step) (any, error) {
	expect := maps.Clone(s.Expect)
	do, ok := clone(reflect.ValueOf(s.do)).Interface().(act)
	if !ok {
		return nil, fmt.Errorf("%s cannot be run", s.kind) // a kind is an act
	}
	if err := errors.Join(w.vars.expand(reflect.ValueOf(do)), w.vars.expand(reflect.ValueOf(&expect).Elem())); err != nil {
		return nil, err
	}
	result, err := do.do(ctx, w)
	seen := plain(result)
	if s.Fails != 0 {
		refusal, refused := errors.AsType[*client.Error](err)
		switch {
		case err == nil:
			return seen, fmt.Errorf("got success, want a refusal with status %d", s.Fails)
		case !refused:
			return seen, fmt.Errorf("want a refusal with status %d: %w", s.Fails, err)
		case refusal.Status != s.Fails:
			return seen, fmt.Errorf("got status %d, want %d: %w", refusal.Status, s.Fails, err)
		}
		return map[string]any{"status": refusal.Status, "body": refusal.Body}, nil
	}
	if err != nil {
		return seen, err
	}
	if err := expected(seen, expect); err != nil {
		return seen, err
	}
	for name, path := range s.Save {
		value, ok := lookup(seen, path)
		if !ok {
			return seen, fmt.Errorf("save %s: there is no %s in what was seen", name, path)
		}
		w.vars[name] = texts(value)
	}
	return seen, nil
}

// plain returns v as JSON has it.
func plain(v any) any {
	if v == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	var out any
	if err := json.Unmarshal(raw, &out); err != nil {
		return fmt.Sprint(v)
	}
	return out
}

// expected compares what was seen with what was to be seen, all paths at once.
func expected(seen any, want map[string]any) error {
	var faults []error
	for _, path := range slices.Sorted(maps.Keys(want)) {
		got, there := lookup(seen, path)
		switch {
		case want[path] == nil:
			if there && got != nil {
				faults = append(faults, fmt.Errorf("%s: got %s, want none", path, texts(got)))
			}
		case !there:
			faults = append(faults, fmt.Errorf("%s: got none, want %v", path, want[path]))
		case !fits(got, want[path]):
			faults = append(faults, fmt.Errorf("%s: got %s, want %v", path, texts(got), want[path]))
		}
	}
	return errors.Join(faults...)
}

// fits reports whether got is want, or, where want is a list, has all of it.
func fits(got, want any) bool {
	if want == "*" {
		return true
	}
	list, ok := want.([]any)
	if !ok {
		return texts(got) == texts(want)
	}
	have, ok := got.([]any)
	if !ok {
		have = []any{got}
	}
	return !slices.ContainsFunc(list, func(one any) bool {
		return !slices.ContainsFunc(have, func(h any) bool { return texts(h) == texts(one) })
	})
}

// texts returns a value as a text: strings as they are, all else as JSON.
func texts(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

// lookup returns the value at a path such as delivery.method or sets.0.jti. A part may
// hold dots, as URIs do: the longest that fits is taken.
func lookup(v any, path string) (any, bool) {
	if path == "" {
		return v, true
	}
	switch at := v.(type) {
	case map[string]any:
		parts := strings.Split(path, ".")
		for n := len(parts); n > 0; n-- {
			if next, ok := at[strings.Join(parts[:n], ".")]; ok {
				return lookup(next, strings.Join(parts[n:], "."))
			}
		}
	case []any:
		first, rest, _ := strings.Cut(path, ".")
		if i, err := strconv.Atoi(first); err == nil && i >= 0 && i < len(at) {
			return lookup(at[i], rest)
		}
	}
	return nil, false
}

// variables are values that steps have seen.
type variables map[string]string

// reference is a variable in a text.
var reference = regexp.MustCompile(`\$\{([a-z][a-z0-9_]*)\}`)

// text puts variables in their place.
func (vars variables) text(text string) (string, error) {
	var missing error
	out := reference.ReplaceAllStringFunc(text, func(ref string) string {
		name := ref[2 : len(ref)-1]
		value, ok := vars[name]
		if !ok {
			missing = fmt.Errorf("there is no variable %s: no step before this one has set it", name)
		}
		return value
	})
	return out, missing
}
