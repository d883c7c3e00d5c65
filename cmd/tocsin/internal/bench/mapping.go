package bench

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"

	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

const (
	mappingRuns   = 20_000 // records of a round
	mappingTarget = 2
)

// records are what vendors send: one each, for which rules have to be worked out.
//
//go:embed records/*.json
var records embed.FS

// knowledge is what was known before the records, by dimension.
type knowledge map[string]string

// Previous implements mapping.Previous.
func (k knowledge) Previous(of mapping.Key) (string, bool) {
	value, known := k[of.Dimension]
	return value, known
}

// mapping runs in this process: it is pure.
func (b *bench) mapping(ctx context.Context, w workload) ([]Result, error) {
	var results []Result
	for _, format := range []string{mapping.FormatIDme, mapping.FormatOneLogin, mapping.FormatFingerprint} {
		one := workload{name: w.name + "-" + format, is: w.is}
		raw, mapRecord, err := recordOf(format)
		if err != nil {
			return nil, err
		}
		rounds, err := b.rounds(ctx, one.name, func(context.Context) (Round, error) {
			n := b.count(mappingRuns)
			decode, err := b.floor.cpu("decode_"+format+"_us", n, b.floor.cores, func() error {
				var v map[string]any
				return json.Unmarshal(raw, &v)
			})
			if err != nil {
				return Round{}, err
			}
			us, err := b.floor.cpu("", n, b.floor.cores, func() error {
				_, err := mapRecord()
				return err
			})
			return Round{us, decode}, err
		})
		if err != nil {
			return nil, err
		}
		results = append(results, one.atMost(mappingTarget, "µs CPU/record", rounds))
	}
	return results, nil
}

// recordOf returns a vendor's record as it is sent, without spaces, and what maps it.
func recordOf(format string) ([]byte, func() (mapping.Record, error), error) {
	text, err := records.ReadFile("records/" + format + ".json")
	if err != nil {
		return nil, nil, err
	}
	var raw bytes.Buffer
	if err := json.Compact(&raw, text); err != nil {
		return nil, nil, err
	}
	mapper, err := mapping.New(mapping.Config{Params: map[string]map[string]any{
		mapping.FormatOneLogin:    {"risk_medium": 40, "risk_high": 80},
		mapping.FormatFingerprint: {"risk_medium": 10, "risk_high": 20},
	}})
	if err != nil {
		return nil, nil, err
	}
	known := knowledge{mapping.DimensionScore: "3", mapping.DimensionSignal + "root_apps": "false"}
	return raw.Bytes(), func() (mapping.Record, error) { return mapper.Record(format, raw.Bytes(), known) }, nil
}
