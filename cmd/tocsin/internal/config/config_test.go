package config_test

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
)

type settings struct {
	Config string
	Run    struct {
		Listen   string          `default:"default"`
		Max      int             `default:"1"`
		Secure   bool            `default:"true" negatable:""`
		Schedule []time.Duration `placeholder:"D"`
		Types    []string
		Wait     time.Duration `default:"1s"`
		Redis    string        `onlygiven:""`
		Names    map[string]string
	} `cmd:""`
}

// parse parses a command line over a file and an environment.
func parse(t *testing.T, file string, environ, args []string) (settings, error) {
	t.Helper()
	path := ""
	if file != "" {
		path = filepath.Join(t.TempDir(), "tocsin.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var s settings
	resolver, err := config.Load(path, environ)
	if err != nil {
		return s, err
	}
	parser, err := kong.New(&s, kong.Resolvers(resolver), kong.Writers(io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(append([]string{"run"}, args...))
	return s, err
}

// Flag, environment, file, default: the first that says something wins
// (architecture.md §4).
func TestPrecedence(t *testing.T) {
	const file = "listen: file\n"
	environ := []string{"TOCSIN_LISTEN=environment", "LISTEN=no", "TOCSIN=no"}
	tests := []struct {
		name          string
		file          string
		environ, args []string
		want          string
	}{
		{"nothing", "", nil, nil, "default"},
		{"file", file, nil, nil, "file"},
		{"a key without a value", "listen:\n", nil, nil, "default"},
		{"an empty file", "# nothing\n", nil, nil, "default"},
		{"environment", "", environ, nil, "environment"},
		{"environment over file", file, environ, nil, "environment"},
		{"an empty variable", file, []string{"TOCSIN_LISTEN="}, nil, "file"},
		{"a variable of nobody", file, []string{"TOCSIN_NOBODY=1"}, nil, "file"},
		{"flag over all", file, environ, []string{"--listen", "flag"}, "flag"},
		{"an empty flag", file, environ, []string{"--listen="}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parse(t, test.file, test.environ, test.args)
			if err != nil || got.Run.Listen != test.want {
				t.Errorf("got %q and %v, want %q", got.Run.Listen, err, test.want)
			}
		})
	}
}

func TestValues(t *testing.T) {
	got, err := parse(t, "max: 1000000\nsecure: false\nwait: 1m30s\nschedule: [1s, 2m]\ntypes:\n- 'a,b'\n- c\n", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := got.Run
	if r.Max != 1000000 || r.Secure || r.Wait != 90*time.Second ||
		!reflect.DeepEqual(r.Schedule, []time.Duration{time.Second, 2 * time.Minute}) || !reflect.DeepEqual(r.Types, []string{"a,b", "c"}) {
		t.Errorf("got %+v, want what the file says", r)
	}
	got, err = parse(t, "", []string{"TOCSIN_MAX=7", "TOCSIN_SECURE=false", "TOCSIN_TYPES=x,y"}, nil)
	if r := got.Run; err != nil || r.Max != 7 || r.Secure || !reflect.DeepEqual(r.Types, []string{"x", "y"}) {
		t.Errorf("got %+v and %v, want what the environment says", r, err)
	}
}

// A mistake in the file is an error that names its place.
func TestMistakes(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"unknown key", "lissten: a\n", `no setting is called "lissten"`},
		{"nested key", "server:\n  listen: a\n", `no setting is called "server"`},
		{"a map for a value", "listen:\n  host: a\n", `"listen" of`},
		{"the file itself", "config: a\n", `no setting is called "config"`},
		{"help", "help: true\n", `no setting is called "help"`},
		{"wrong type", "max: many\n", "--max"},
		{"twice", "max: 1\nmax: 2\n", "already defined"},
		{"a list", "- max\n", "tocsin.yaml"},
		{"not YAML", "\tmax", "tocsin.yaml"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(t, test.file, nil, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
	if _, err := config.Load("missing.yaml", nil); err == nil || !strings.Contains(err.Error(), "missing.yaml") {
		t.Errorf("a missing file: got %v, want an error that names it", err)
	}
}

func TestFile(t *testing.T) {
	environ := []string{"TOCSIN_CONFIG=environment"}
	tests := []struct {
		args, environ []string
		want          string
	}{
		{nil, nil, ""},
		{nil, environ, "environment"},
		{[]string{"run", "--config", "flag"}, environ, "flag"},
		{[]string{"--config=flag", "run"}, environ, "flag"},
		{[]string{"run", "--", "--config=argument"}, environ, "environment"},
		{[]string{"run", "--config"}, nil, ""},
	}
	for _, test := range tests {
		if got := config.File(test.args, test.environ); got != test.want {
			t.Errorf("File(%q, %q): got %q, want %q", test.args, test.environ, got, test.want)
		}
	}
}

// A flag that must be given is not taken from the file or the environment, where its
// namesake of another command is meant.
func TestOnlyGiven(t *testing.T) {
	environ := []string{"TOCSIN_REDIS=redis://production"}
	got, err := parse(t, "redis: redis://production\n", environ, nil)
	if err != nil || got.Run.Redis != "" {
		t.Errorf("got %q, %v, want nothing", got.Run.Redis, err)
	}
	if got, err = parse(t, "", environ, []string{"--redis", "start"}); err != nil || got.Run.Redis != "start" {
		t.Errorf("got %q, %v, want what was given", got.Run.Redis, err)
	}
}

// A setting that is a map is one in the file, pairs on the command line and in the
// environment.
func TestMaps(t *testing.T) {
	const file = "names:\n  https://login.example/ssf.write: ssf.manage ssf.read\n  a.b: 7\n"
	fromFile := map[string]string{"https://login.example/ssf.write": "ssf.manage ssf.read", "a.b": "7"}
	for _, tt := range []struct {
		name, file    string
		environ, args []string
		want          map[string]string
		fault         string
	}{
		{"file", file, nil, nil, fromFile, ""},
		{"environment", file, []string{"TOCSIN_NAMES=a=1;b=2 3"}, nil, map[string]string{"a": "1", "b": "2 3"}, ""},
		{"flags", file, []string{"TOCSIN_NAMES=a=1"}, []string{"--names", "c=x=y", "--names=d=4"}, map[string]string{"c": "x=y", "d": "4"}, ""},
		{"a list within", "names:\n  a: [1]\n", nil, nil, nil, `something else than a text for "a"`},
		{"a map where none is", "listen:\n  a: 1\n", nil, nil, nil, "is a map"},
	} {
		got, err := parse(t, tt.file, tt.environ, tt.args)
		if tt.fault != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.fault)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got.Run.Names, tt.want) {
			t.Errorf("%s: got %v (%v), want %v", tt.name, got.Run.Names, err, tt.want)
		}
	}
}
