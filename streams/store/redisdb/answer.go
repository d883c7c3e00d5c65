package redisdb

import (
	"errors"
	"strconv"
)

// ErrAnswer: the server says what no script of ours says.
var ErrAnswer = errors.New("redisdb: an answer of another form; is the prefix shared with something else?")

// Text returns a text or a number of a script's answer as a text; "" for anything else.
func Text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return ""
}

// Number returns a number of a script's answer, or the one that a text is; 0 for
// anything else.
func Number(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case string:
		n, _ := strconv.ParseInt(v, 10, 64) // 0, then
		return n
	}
	return 0
}

// List returns a list of a script's answer. Error: [ErrAnswer].
func List(v any) ([]any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, ErrAnswer
	}
	return list, nil
}
