package payload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Encode writes a payload: the bound members that hold something, in their order,
// then those of extra by name. A bound member that holds something hides an extra
// one of its name. Equal values give equal bytes.
//
// The error is that of an extra or object member whose text is no JSON.
func Encode(members []Member, extra map[string]json.RawMessage) ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteByte('{')
	written := make(map[string]bool, len(members))
	for _, m := range members {
		value := m.value()
		if value == nil {
			continue
		}
		if err := appendMember(&buf, m.Name, value); err != nil {
			return nil, err
		}
		written[m.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if written[name] {
			continue
		}
		if err := appendMember(&buf, name, extra[name]); err != nil {
			return nil, err
		}
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

func appendMember(buf *bytes.Buffer, name string, value any) error {
	if buf.Len() > 1 {
		buf.WriteByte(',')
	}
	for k, part := range [...]any{name, value} {
		text, err := json.Marshal(part)
		if err != nil {
			return fmt.Errorf("member %s: %w", name, err)
		}
		if k > 0 {
			buf.WriteByte(':')
		}
		buf.Write(text)
	}
	return nil
}

// value returns what the member's field holds, ready to be encoded; nil if it is
// empty.
func (m Member) value() any {
	switch target := m.Target.(type) {
	case *string:
		if *target != "" {
			return *target
		}
	case **string:
		if *target != nil {
			return **target
		}
	case *time.Time:
		if !target.IsZero() {
			return seconds(*target)
		}
	case *map[string]string:
		if len(*target) > 0 {
			return *target
		}
	case *[]string:
		if len(*target) > 0 {
			return *target
		}
	case *map[string]json.RawMessage:
		if *target != nil {
			return *target
		}
	}
	return nil
}

// seconds returns t as a JSON number of seconds since the epoch, with a fraction
// down to microseconds if it has one.
func seconds(t time.Time) json.Number {
	if t.Nanosecond() == 0 {
		return json.Number(strconv.FormatInt(t.Unix(), 10))
	}
	return json.Number(strconv.FormatFloat(float64(t.UnixMicro())/1e6, 'f', -1, 64))
}
