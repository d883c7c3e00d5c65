// Package script drives a receiver by a stated list of steps (discover, create, read,
// status, update, verify, poll until, acknowledge, expect push, delete, …), each with a
// deadline, and reports what each saw: so that a conformance suite can drive it, and a
// stream can be tried out step by step. It is the receiver's own client, verifier and
// push endpoint that run.
package script

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
)

// Defaults and bounds of a [Script].
const (
	DefaultTimeout = 60 * time.Second
	MaxTimeout     = time.Hour
	MaxSteps       = 1000
)

// Script is a file of steps.
type Script struct {
	// Issuer is the transmitter; its fields are those of an issuer of the daemon. What
	// flags say stands above it.
	Issuer receive.Issuer
	// Listen is where pushes come to; empty: nowhere. PublicURL is how the transmitter
	// reaches it; empty: the address.
	Listen, PublicURL string
	// InsecureLoopback allows plain http to and from loopback.
	InsecureLoopback bool
	// Timeout is for each step that has none; zero: DefaultTimeout.
	Timeout time.Duration
	// Variables are values that steps may use as ${name}.
	Variables map[string]string
	// Steps are run in their order; after one that failed only those that say always.
	Steps []settings.Node

	steps []step
}

// Common is what every step may say besides what it does.
type Common struct {
	Name    string
	Timeout time.Duration
	// Always runs it also after a step that failed: to clean up.
	Always bool
	// Expect are values that what was seen must have, by their path: a text, or a list
	// of texts that must all be there. "*" is any value.
	Expect map[string]any
	// Fails says that the step passes only if the transmitter refuses it, with this
	// HTTP status; 0: it must succeed.
	Fails int
	// Save keeps values that were seen for later steps, by a variable's name.
	Save map[string]string
}

// step is one step, decoded.
type step struct {
	Common
	kind string
	do   act // a pointer to the kind's struct
}

// Read reads the script at path and checks it as a whole. change, if not nil, is called
// before it is checked.
func Read(path string, environ []string, change func(*Script)) (*Script, error) {
	doc, err := settings.Read(path, environ)
	if err != nil {
		return nil, &receive.ConfigError{Err: fmt.Errorf("reading the script: %w", err)}
	}
	s := new(Script)
	if err := doc.Decode(s); err != nil {
		return nil, &receive.ConfigError{Err: err}
	}
	if change != nil {
		change(s)
	}
	if err := s.complete(doc); err != nil {
		return nil, &receive.ConfigError{Err: err}
	}
	return s, nil
}

func (s *Script) complete(doc settings.Node) error {
	if s.Timeout == 0 {
		s.Timeout = DefaultTimeout
	}
	if s.Issuer.Name == "" {
		s.Issuer.Name = "script"
	}
	var faults []error
	cfg, err := receive.Config{Issuers: []receive.Issuer{s.Issuer}, InsecureLoopback: s.InsecureLoopback}.Complete(
		func(key, format string, args ...any) error {
			return doc.At("issuer").Fault("%s: "+format, append([]any{strings.TrimPrefix(key, "issuers[0].")}, args...)...)
		})
	if err != nil {
		faults = append(faults, err)
	} else {
		s.Issuer = cfg.Issuers[0]
	}
	if s.Issuer.KeyFile != "" {
		faults = append(faults, doc.At("issuer").At("key_file").Fault("a script finds keys by metadata or jwks_url"))
	}
	switch n := len(s.Steps); {
	case n == 0:
		faults = append(faults, doc.Fault("there are no steps"))
	case n > MaxSteps:
		faults = append(faults, doc.At("steps").Fault("there are more than %d", MaxSteps))
	}
	for i, at := range s.Steps {
		one, err := readStep(at)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if one.Timeout == 0 {
			one.Timeout = s.Timeout
		}
		if one.Name == "" {
			one.Name = fmt.Sprintf("%d %s", i+1, one.kind)
		}
		if _, push := one.do.(*expectPush); push && s.Listen == "" {
			faults = append(faults, at.Fault("it waits for a push, and the script has no listen"))
		}
		s.steps = append(s.steps, one)
	}
	return errors.Join(faults...)
}

// readStep reads one step: a key with the name of its kind, and what every step may say.
func readStep(at settings.Node) (step, error) {
	kinds := kinds()
	var s step
	for key := range at.Each() {
		if kinds[key] == nil {
			continue
		}
		if s.kind != "" {
			return s, at.Fault("it is %s and %s; a step does one thing", s.kind, key)
		}
		s.kind = key
	}
	if s.kind == "" {
		return s, at.Fault("it says not what to do: want one of %s", strings.Join(kindNames(), ", "))
	}
	s.do = kinds[s.kind]()
	if err := errors.Join(at.Without(s.kind).Decode(&s.Common), at.At(s.kind).Decode(s.do)); err != nil {
		return s, err
	}
	if s.Timeout < 0 || s.Timeout > MaxTimeout {
		return s, at.At("timeout").Fault("want up to %s", MaxTimeout)
	}
	if checker, ok := s.do.(interface{ check() error }); ok {
		if err := checker.check(); err != nil {
			return s, at.At(s.kind).Fault("%v", err)
		}
	}
	return s, nil
}

func kindNames() []string {
	var names []string
	for name := range kinds() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// expand puts variables in their place in all texts of v, which can be set.
func (vars variables) expand(v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		text, err := vars.text(v.String())
		if err == nil && v.CanSet() {
			v.SetString(text)
		}
		return err
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		if v.Kind() == reflect.Interface {
			inner := reflect.New(v.Elem().Type()).Elem()
			inner.Set(v.Elem())
			err := vars.expand(inner)
			v.Set(inner)
			return err
		}
		return vars.expand(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			if err := vars.expand(v.Field(i)); err != nil {
				return err
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := vars.expand(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			if err := vars.expand(value); err != nil {
				return err
			}
			v.SetMapIndex(key, value)
		}
	}
	return nil
}

// clone returns a copy of a step's struct whose lists and maps are its own.
func clone(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(clone(v.Elem()))
		return out
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		out.Set(v)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(clone(v.Field(i)))
			}
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(clone(v.Index(i)))
		}
		return out
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeMap(v.Type())
		for _, key := range v.MapKeys() {
			out.SetMapIndex(key, clone(v.MapIndex(key)))
		}
		return out
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type()).Elem()
		out.Set(clone(v.Elem()))
		return out
	}
	return v
}
