package set

import "github.com/tocsin-ssf/tocsin/set/subject"

// Tolerances names the older or looser forms that a receiver reads from one
// transmitter. The zero value is strict. None of them loosens signature,
// issuer or audience, and each applies only where the current form is absent
// (RISC §3.1).
type Tolerances struct {
	MissingType      bool           // no `typ` in the header (U1)
	SubAndExp        bool           // claims `sub` and `exp` present: ignored, `exp` never enforced (U2)
	InnerSubject     bool           // no `sub_id`, the subject inside the event as `subject` (L1)
	NumericTxn       bool           // `txn` as a number, kept as its decimal text (L12)
	FormerTypes      bool           // event types under the URIs of drafts: [Event].Type is the current one (L5, L16)
	LegacyIdentifier subject.Legacy // older forms of the identifier itself (L2, L3, L4)
}
