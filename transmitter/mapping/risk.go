package mapping

import (
	"errors"

	"github.com/tocsin-ssf/tocsin/set/caep"
)

const maxRisk = 100

// RiskThresholds turn a score into a risk-level-change: at or above High it is
// HIGH, at or above Medium MEDIUM, below both no event is made. The previous
// level is not known to a pure mapping and left out (CAEP §3.8).
type RiskThresholds struct {
	Medium int // 1..100; 0: there is no such level
	High   int // above Medium; 0: there is no such level
}

func (t RiskThresholds) check() error {
	both := t.Medium != 0 && t.High != 0
	if t.Medium < 0 || t.High < 0 || t.Medium > maxRisk || t.High > maxRisk || both && t.High <= t.Medium {
		return errors.New("mapping: Config.Risk: Medium and High are from 0 to 100, High above Medium")
	}
	return nil
}

// level returns the level of a score, empty if it is below all thresholds.
func (t RiskThresholds) level(score int) string {
	switch {
	case t.High != 0 && score >= t.High:
		return caep.RiskHigh
	case t.Medium != 0 && score >= t.Medium:
		return caep.RiskMedium
	}
	return ""
}

// riskOf returns the risk-level-change that a record's score asks for.
func (m *Mapper) riskOf(f *format, fields []field, r *Record) ([]Mapped, error) {
	if f.risk == nil || len(r.Subjects) == 0 {
		return nil, nil
	}
	score, reasons, ok := f.risk(fields)
	level := m.risk.level(score)
	if !ok || level == "" {
		return nil, nil
	}
	n := m.named["risk.changed"]
	data := []field{{"principal", quoted(caep.PrincipalUser)}, {"current_level", quoted(level)}}
	if reasons != "" {
		data = append(data, field{"risk_reason", quoted(reasons)})
	}
	payload, err := n.payload(data, r.Time)
	if err != nil {
		return nil, err
	}
	return []Mapped{{Type: n.Type, Payload: payload}}, nil
}
