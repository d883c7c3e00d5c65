package values

import (
	"fmt"
	"strings"
)

// MaxTemplateBytes bounds the text of a template.
const MaxTemplateBytes = 1024

// Template is a text with names of values in braces: `sess:{user.sub}:*`. A brace by
// itself is written twice.
type Template struct {
	literals []string // one more than names
	names    []string
}

// ParseTemplate reads a template. The error says what is wrong and where.
func ParseTemplate(text string) (Template, error) {
	if len(text) > MaxTemplateBytes {
		return Template{}, fmt.Errorf("a template has at most %d bytes", MaxTemplateBytes)
	}
	var t Template
	var literal strings.Builder
	for rest := text; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "{{"), strings.HasPrefix(rest, "}}"):
			literal.WriteByte(rest[0])
			rest = rest[2:]
		case rest[0] == '{':
			name, after, closed := strings.Cut(rest[1:], "}")
			if !closed {
				return Template{}, fmt.Errorf("%q: a brace is not closed", text)
			}
			if strings.HasSuffix(name, "?") {
				return Template{}, fmt.Errorf("%q: a value in a template cannot be optional", text)
			}
			if err := Check(name); err != nil {
				return Template{}, fmt.Errorf("%q: %w", text, err)
			}
			t.literals = append(t.literals, literal.String())
			t.names = append(t.names, name)
			literal.Reset()
			rest = after
		case rest[0] == '}':
			return Template{}, fmt.Errorf("%q: a brace is not opened", text)
		default:
			literal.WriteByte(rest[0])
			rest = rest[1:]
		}
	}
	t.literals = append(t.literals, literal.String())
	return t, nil
}

// Names returns the names of the values that the template needs.
func (t Template) Names() []string { return t.names }

// Expand returns the text with the values of row, each as escape writes it; nil: as it is.
func (t Template) Expand(row Row, escape func(string) string) string {
	if escape == nil {
		escape = func(s string) string { return s }
	}
	var b strings.Builder
	for i, literal := range t.literals {
		b.WriteString(literal)
		if i < len(t.names) {
			b.WriteString(escape(row.Text(t.names[i])))
		}
	}
	return b.String()
}
