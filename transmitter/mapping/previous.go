package mapping

import (
	"fmt"
	"reflect"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Previous tells what the log knew before a record. It is asked only where a
// rule needs it, and answers from what was recorded, not from what was said
// outside. A [Mapper] works without: what it would have said is then left out.
type Previous interface {
	// Previous returns the newest value of a dimension that an earlier event of
	// the same source has, false if none has. The value is text: a number in
	// decimal, a truth value as "true" or "false".
	Previous(of Key) (value string, known bool)
}

// Key is what a [Previous] is asked about: one dimension of one user or device.
type Key struct {
	// Identifier is the source's id of a user ([Attributes]), Fingerprint that
	// of a device. One of the two is set.
	Identifier  string
	Fingerprint string
	// Dimension is [DimensionScore], [DimensionSuspect], [DimensionSignal] and
	// the name of a signal, or the event type URI of a security event, of which
	// Member is then the member of the payload.
	Dimension string
	// Member is a member of the last payload of that type: "current_level".
	Member string
}

// The dimensions of a [Key] that are attributes.
const (
	DimensionScore   = "score"
	DimensionSuspect = "suspect"
	DimensionSignal  = "signal." // and the signal's name
)

// previousTypeName is the type of the variable previous in expressions.
const previousTypeName = "tocsin.Previous"

// known is the variable previous: what was known before this record.
type known struct{ e *evaluation }

// celPreviousUser is previous.user("score"): what was last known of the
// record's user, empty if nothing is.
func celPreviousUser(previous, dimension ref.Val) ref.Val {
	k, ok := previous.(*known)
	if !ok {
		return types.MaybeNoSuchOverloadErr(previous)
	}
	return k.e.knew(Key{Identifier: k.e.record.Attributes.Identifier}, dimension)
}

// celPreviousDevice is previous.device("signal.frida"), of the record's device.
func celPreviousDevice(previous, dimension ref.Val) ref.Val {
	k, ok := previous.(*known)
	if !ok {
		return types.MaybeNoSuchOverloadErr(previous)
	}
	return k.e.knew(Key{Fingerprint: k.e.record.Attributes.Fingerprint}, dimension)
}

// knew asks what was known. A dimension is one of those of [Key], or the name
// of an account event and a member of its data: "risk.changed/current_level".
func (e *evaluation) knew(of Key, dimension ref.Val) ref.Val {
	text, ok := dimension.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(dimension)
	}
	if e.previous == nil || of.Identifier == "" && of.Fingerprint == "" {
		return types.String("")
	}
	of.Dimension = string(text)
	if name, member, ok := strings.Cut(of.Dimension, "/"); ok {
		n := e.mapper.named[name]
		if n == nil {
			return types.NewErr("%q is not the name of an account event", name)
		}
		of.Dimension, of.Member = n.Type, member
		for i := range n.Members {
			if n.Members[i].Name == member {
				of.Member = n.Members[i].Target
			}
		}
	}
	value, asked := e.knows[of]
	if !asked {
		value, _ = e.previous.Previous(of)
		if e.knows == nil {
			e.knows = map[Key]string{}
		}
		e.knows[of] = value
	}
	return types.String(value)
}

// ConvertToNative is not offered.
func (k *known) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("unsupported conversion from %s to %v", previousTypeName, t)
}

// ConvertToType converts to its type alone.
func (k *known) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return types.NewObjectType(previousTypeName)
	}
	return types.NewErr("type conversion error from %s to '%s'", previousTypeName, t)
}

// Equal compares identities.
func (k *known) Equal(other ref.Val) ref.Val { return types.Bool(other == ref.Val(k)) }

// Type returns its type.
func (k *known) Type() ref.Type { return types.NewObjectType(previousTypeName) }

// Value returns itself.
func (k *known) Value() any { return k }
