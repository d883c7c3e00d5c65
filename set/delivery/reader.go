package delivery

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// reader walks one JSON text; the jsontext decoder refuses duplicate member
// names and invalid UTF-8, which encoding/json would accept.
type reader struct{ dec *jsontext.Decoder }

func newReader(body []byte, opts ...jsontext.Options) reader {
	return reader{jsontext.NewDecoder(bytes.NewBuffer(body), opts...)}
}

// object calls member for each member of the next value, in order. member must
// consume the value.
func (r reader) object(member func(name string) error) error {
	return r.list('{', func() error {
		tok, err := r.dec.ReadToken()
		if err != nil {
			return malformed(err)
		}
		return member(tok.String())
	})
}

// array calls element before each element of the next value.
func (r reader) array(element func() error) error { return r.list('[', element) }

func (r reader) list(open jsontext.Kind, item func() error) error {
	if kind := r.dec.PeekKind(); kind != open {
		return r.unexpected(kind, open.String())
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return malformed(err)
	}
	for {
		switch kind := r.dec.PeekKind(); kind {
		case '}', ']':
			_, err := r.dec.ReadToken()
			return malformed(err)
		case jsontext.KindInvalid:
			return r.unexpected(kind, "a value")
		}
		if err := item(); err != nil {
			return malformed(err)
		}
	}
}

// text reads a string of at most limit bytes.
func (r reader) text(what string, limit int) (string, error) {
	if kind := r.dec.PeekKind(); kind != '"' {
		return "", r.unexpected(kind, "a string for "+what)
	}
	tok, err := r.dec.ReadToken()
	if err != nil {
		return "", malformed(err)
	}
	s := tok.String()
	if len(s) > limit {
		return "", fmt.Errorf("%w: %s exceeds %d bytes", ErrTooLarge, what, limit)
	}
	return s, nil
}

// boolean reads true or false.
func (r reader) boolean(what string) (bool, error) {
	kind := r.dec.PeekKind()
	if kind != 't' && kind != 'f' {
		return false, r.unexpected(kind, "true or false for "+what)
	}
	_, err := r.dec.ReadToken()
	return kind == 't', malformed(err)
}

// count reads an integer that is not negative.
func (r reader) count(what string) (int, error) {
	if kind := r.dec.PeekKind(); kind != '0' {
		return 0, r.unexpected(kind, "an integer for "+what)
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		return 0, malformed(err)
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: %s is not an integer >= 0", ErrMalformed, what)
	}
	return n, nil
}

// end checks that nothing follows the value read.
func (r reader) end() error {
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more than one JSON value", ErrMalformed)
	}
	return nil
}

// unexpected turns a broken or wrong next token into an error.
func (r reader) unexpected(kind jsontext.Kind, want string) error {
	if kind == jsontext.KindInvalid {
		if _, err := r.dec.ReadToken(); err != nil {
			return malformed(err)
		}
	}
	return fmt.Errorf("%w: %s at byte %d, want %s", ErrMalformed, kind, r.dec.InputOffset(), want)
}

// malformed describes a decoder error without quoting the body, so that an
// error text stays short whatever was sent.
func malformed(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case err == nil, errors.Is(err, ErrMalformed), errors.Is(err, ErrTooLarge):
		return err
	case errors.Is(err, jsontext.ErrDuplicateName):
		return fmt.Errorf("%w: a member name occurs twice in one object", ErrMalformed)
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: not JSON at byte %d", ErrMalformed, syntax.ByteOffset)
	}
	return fmt.Errorf("%w: not JSON", ErrMalformed)
}
