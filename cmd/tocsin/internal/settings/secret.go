package settings

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// variable is a reference to the environment.
var variable = regexp.MustCompile(`\$\{([A-Z_][A-Z0-9_]*)\}`)

// expand puts variables of the environment in their place. One that is not set, or
// empty, is an error: an empty secret lets everybody in.
func (f *file) expand(text string) (string, error) {
	if f == nil || !strings.Contains(text, "${") {
		return text, nil
	}
	var missing []error
	out := variable.ReplaceAllStringFunc(text, func(ref string) string {
		name := ref[2 : len(ref)-1]
		value, _ := f.env(name)
		if value == "" {
			missing = append(missing, fmt.Errorf("the environment variable %s is not set", name))
		}
		return value
	})
	return out, errors.Join(missing...)
}

// secret reads the files that a key NAME_file names into field: one for a text, one or
// a list of them for a list of texts.
func (d *decoder) secret(n *yaml.Node, field reflect.Value, path string) {
	var names []string
	before := len(d.faults)
	d.value(n, reflect.ValueOf(&names).Elem(), path)
	if len(d.faults) > before {
		return
	}
	if field.Kind() == reflect.String && len(names) != 1 {
		d.fail(n, path, "want a file's name")
		return
	}
	for _, name := range names {
		if !filepath.IsAbs(name) {
			name = filepath.Join(d.file.dir, name)
		}
		text, err := ReadSecret(name)
		switch {
		case err != nil:
			d.fail(n, path, "%v", err)
		case field.Kind() == reflect.String:
			field.SetString(text)
		default:
			field.Set(reflect.Append(field, reflect.ValueOf(text).Convert(field.Type().Elem())))
		}
	}
}

// ReadSecret returns what a file holds, without the line's end behind it.
func ReadSecret(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close() // it is only read
	raw, err := io.ReadAll(io.LimitReader(f, MaxSecretBytes+1))
	switch {
	case err != nil:
		return "", err
	case len(raw) > MaxSecretBytes:
		return "", fmt.Errorf("%s is longer than %d bytes", name, MaxSecretBytes)
	}
	text := strings.TrimRight(string(raw), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s is empty", name)
	}
	return text, nil
}

// maxTypos is how many letters may be wrong in a name that is still recognised.
const maxTypos = 2

// nearest names the settings that somebody may have meant.
func nearest(key string, fields map[string]reflect.Value) string {
	names := slices.Sorted(maps.Keys(fields))
	if len(names) == 0 {
		return ""
	}
	best := slices.MinFunc(names, func(a, b string) int { return distance(key, a) - distance(key, b) })
	if distance(key, best) <= maxTypos {
		return ": did you mean " + best + "?"
	}
	return "; there are " + strings.Join(names, ", ")
}

// distance is how many letters have to change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost = 1 + min(last, row[j], row[j+1])
			}
			last, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
