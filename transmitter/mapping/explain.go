package mapping

// Origin tells where a member of a [Record] came from.
type Origin struct {
	// Member is the record's, an attribute's, or of a rule's payload with the
	// name of the rule before it.
	Member string `json:"member"`
	// From is the path of the vendor's member, or what else it came of.
	From string `json:"from"`
}

// RuleTried is a rule that was tried for a record.
type RuleTried struct {
	Rule string `json:"rule"`          // its handle or name
	File string `json:"file"`          // where it stands
	Line int    `json:"line"`          // from 1
	Type string `json:"type"`          // the event type URI that it makes
	Made bool   `json:"made"`          // it made its event
	Why  string `json:"why,omitempty"` // it did not
}

// Explanation says why a record became what it did.
type Explanation struct {
	Known   bool        `json:"known"` // the handle is in the catalogue
	Origins []Origin    `json:"origins"`
	Tried   []RuleTried `json:"rules"`
}

// Explain maps a record as [Mapper.Record] does and says why. Its errors may
// quote the record: it is for the eyes of whoever writes rules.
func (m *Mapper) Explain(format string, raw []byte, previous Previous) (Record, Explanation, error) {
	x := Explanation{Origins: []Origin{}, Tried: []RuleTried{}}
	e := evaluation{mapper: m, previous: previous, origins: &x.Origins, tried: &x.Tried}
	err := e.run(format, raw)
	if e.format != nil {
		for _, r := range e.format.every {
			if r.off && e.record.Handle != "" {
				x.Tried = append(x.Tried, RuleTried{Rule: r.name, File: r.file, Line: r.line, Type: r.typeURI(), Why: "is not enabled"})
			}
		}
		x.Known = e.format.handles[e.record.Handle] != nil
	}
	return e.record, x, err
}

// note notes where a member came from, if it is there and somebody asks.
func (e *evaluation) note(member string, src *source) {
	if e.origins == nil {
		return
	}
	if from, raw, err := src.value(e); err == nil && raw != nil {
		e.noted(member, from)
	}
}

func (e *evaluation) noted(member string, from *source) {
	if e.origins != nil && from != nil {
		*e.origins = append(*e.origins, Origin{member, from.label()})
	}
}
