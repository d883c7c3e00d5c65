package main

import (
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// Ids of events and streams, and jtis, are base64url: one in 64 begins with a
// hyphen, and would be taken for a flag. Such an argument is marked before the
// command line is parsed, and the mark is taken off every text.

// literal marks an argument that is no flag. No argument can hold it.
const literal = "\x00"

// The lengths of an id and of a jti.
const (
	idChars  = 22
	jtiChars = 43
)

// markLiterals returns the arguments with those marked that can only be ids.
func markLiterals(args []string) []string {
	marked := make([]string, len(args))
	for i, arg := range args {
		if isDashedID(arg) {
			arg = literal + arg
		}
		marked[i] = arg
	}
	return marked
}

// isDashedID reports whether arg is an id or a jti that begins with a hyphen,
// and not a flag, which is of lower-case words.
func isDashedID(arg string) bool {
	if !strings.HasPrefix(arg, "-") || len(arg) != idChars && len(arg) != jtiChars {
		return false
	}
	word := true
	for _, c := range []byte(arg) {
		switch {
		case 'a' <= c && c <= 'z', c == '-':
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
			word = false
		default:
			return false
		}
	}
	return !word
}

// textMapper reads texts, without the mark.
type textMapper struct{}

// Decode implements kong.Mapper.
func (textMapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("string", &text); err != nil {
		return err
	}
	target.SetString(strings.TrimPrefix(text, literal))
	return nil
}
