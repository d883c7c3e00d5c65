// Package config reads settings for the command line: a flag wins over its
// environment twin (TOCSIN_<FLAG>), that over the YAML file named by --config,
// that over the default. A key of the file that no flag knows is an error, so
// that a typo is one too.
package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// Prefix of the environment twins.
const Prefix = "TOCSIN_"

// Resolver answers kong with what the file and the environment say.
type Resolver struct {
	path string
	all  *koanf.Koanf // file, then environment over it
	keys []string     // of the file
}

// separator joins the parts of a nested key; no flag's name contains it.
const separator = "\x00"

// Load reads the file at path ("": none) and the environment, given as
// NAME=value. A variable that is empty is as one that is not set.
func Load(path string, environ []string) (*Resolver, error) {
	r := &Resolver{path: path, all: koanf.New(separator)}
	if path != "" {
		if err := r.all.Load(file.Provider(path), yaml.Parser()); err != nil {
			return nil, fmt.Errorf("reading the configuration %s: %w", path, err)
		}
		r.keys = r.all.Keys()
	}
	twins := env.Provider(separator, env.Opt{
		Prefix:      Prefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if value == "" {
				return "", nil
			}
			name = strings.TrimPrefix(name, Prefix)
			return strings.ReplaceAll(strings.ToLower(name), "_", "-"), value
		},
	})
	if err := r.all.Load(twins, nil); err != nil {
		return nil, fmt.Errorf("reading the environment: %w", err)
	}
	return r, nil
}

// Validate refuses a file with a key that is no flag of any command.
func (r *Resolver) Validate(app *kong.Application) error {
	known := map[string]bool{}
	_ = kong.Visit(app, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			known[flag.Name] = true
		}
		return next(nil)
	})
	for _, name := range []string{"help", "version", "config"} {
		delete(known, name)
	}
	for _, key := range r.keys {
		key, _, _ = strings.Cut(key, separator)
		if !known[key] {
			return fmt.Errorf("%s: no setting is called %q (tocsin serve --help lists them)", r.path, key)
		}
	}
	return nil
}

// onlyGiven is the tag of flags that neither the file nor the environment gives: their
// namesake of another command is meant there.
const onlyGiven = "onlygiven"

// Resolve returns the value of a flag that was not given, or nil.
func (r *Resolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Tag.Has(onlyGiven) || flag.Name == "help" || flag.Name == "version" || flag.Name == "config" || !r.all.Exists(flag.Name) {
		return nil, nil
	}
	switch v := r.all.Get(flag.Name).(type) {
	case nil: // a key without a value
		return nil, nil
	case []any:
		texts := make([]string, len(v))
		for i, one := range v {
			texts[i] = fmt.Sprint(one)
		}
		return kong.JoinEscaped(texts, ','), nil
	case map[string]any:
		if !flag.IsMap() {
			return nil, fmt.Errorf("the setting %q of %s is a map, not a value", flag.Name, r.path)
		}
		return texts(flag.Name, v)
	default:
		return fmt.Sprint(v), nil
	}
}

// texts returns a map with its values as texts.
func texts(name string, values map[string]any) (map[string]any, error) {
	all := make(map[string]any, len(values))
	for key, value := range values {
		switch value.(type) {
		case map[string]any, []any, nil:
			return nil, fmt.Errorf("the setting %q has something else than a text for %q", name, key)
		}
		all[key] = fmt.Sprint(value)
	}
	return all, nil
}

// Command returns the first word of a command line that is no flag: the command.
func Command(args []string) string {
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--config": // the one flag before a command that has a value
			i++
		case arg == "--" || !strings.HasPrefix(arg, "-"):
			return strings.TrimPrefix(arg, "--")
		}
	}
	return ""
}

// File returns the path that --config or TOCSIN_CONFIG names, before the
// command line is parsed as a whole; "" if neither does.
func File(args, environ []string) string {
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if path, ok := strings.CutPrefix(arg, "--config="); ok {
			return path
		}
		if arg == "--config" && i+1 < len(args) {
			return args[i+1]
		}
	}
	name := Prefix + "CONFIG="
	if i := slices.IndexFunc(environ, func(e string) bool { return strings.HasPrefix(e, name) }); i >= 0 {
		return strings.TrimPrefix(environ[i], name)
	}
	return ""
}
