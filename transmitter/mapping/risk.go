package mapping

import (
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/tocsin-ssf/tocsin/set/caep"
)

// celLevel is level(score, medium, high): the level of a score, which is a
// number or its decimal text. At or above high (if that is above zero) it is
// HIGH, at or above medium (if that is) MEDIUM, else LOW; empty if there is no
// score or no threshold.
func celLevel(args ...ref.Val) ref.Val {
	score, known := floatOf(args[0])
	medium, isMedium := floatOf(args[1])
	high, isHigh := floatOf(args[2])
	isMedium, isHigh = isMedium && medium > 0, isHigh && high > 0
	switch {
	case !known || !isMedium && !isHigh:
		return types.String("")
	case isHigh && score >= high:
		return types.String(caep.RiskHigh)
	case isMedium && score >= medium:
		return types.String(caep.RiskMedium)
	}
	return types.String(caep.RiskLow)
}

func floatOf(value ref.Val) (float64, bool) {
	switch v := value.(type) {
	case types.Int:
		return float64(v), true
	case types.Uint:
		return float64(v), true
	case types.Double:
		return float64(v), true
	case types.String:
		n, err := strconv.ParseFloat(string(v), 64)
		return n, err == nil
	}
	return 0, false
}
