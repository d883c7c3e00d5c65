package simulate

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Costs are unit costs as they were measured (tocsin bench --redis URL --costs FILE).
// CPU is in µs of one core of the machine that they were measured on.
type Costs struct {
	Measured string `json:"measured"` // the day
	Machine  string `json:"machine"`
	Command  string `json:"command"` // that measured
	// Node is what a node does.
	Node NodeCosts `json:"node_us"`
	// Redis is what the server does, which has one thread for it. A script costs so
	// much by itself (…Call), and so much for each item in it.
	Redis RedisCosts `json:"redis_us"`
	// Memory is bytes in Redis' memory, and in a node's.
	Memory MemoryCosts `json:"memory_bytes"`
	// Wire is bytes on the network.
	Wire WireCosts `json:"wire_bytes"`
}

// NodeCosts are CPU of a node, in µs.
type NodeCosts struct {
	Event     float64            `json:"event"`     // taken in by HTTP, checked, mapped, appended
	Follow    float64            `json:"follow"`    // read by a node and matched in a partition, for each partition
	Push      float64            `json:"push"`      // a SET put on a queue, taken, POSTed and settled, without its signature
	Handshake float64            `json:"handshake"` // TLS with a receiver to which no connection is kept
	PollSET   float64            `json:"poll_set"`  // a SET put on a queue, given to a poll and acknowledged, without its signature
	Poll      float64            `json:"poll"`      // a poll, whatever it brings
	Wait      float64            `json:"wait"`      // a poll that waits, in a second
	Sign      map[string]float64 `json:"sign"`
	Idle      float64            `json:"idle"` // of a node in a second in which nothing comes
}

// RedisCosts are CPU of the server, in µs.
type RedisCosts struct {
	AppendCall float64 `json:"append_call"`
	Append     float64 `json:"append"` // an event
	ReadCall   float64 `json:"read_call"`
	Read       float64 `json:"read"`       // an event, by each node that did not append it
	MatchCall  float64 `json:"match_call"` // what a partition costs for each batch of events, where its node has the index of its subjects in memory
	Match      float64 `json:"match"`      // and for each event, where it has not
	PutCall    float64 `json:"put_call"`
	Put        float64 `json:"put"` // a SET
	TakeCall   float64 `json:"take_call"`
	Take       float64 `json:"take"`
	SettleCall float64 `json:"settle_call"`
	Settle     float64 `json:"settle"`
	Poll       float64 `json:"poll"` // a poll that brings nothing
	Wait       float64 `json:"wait"` // a poll that waits, in a second
	Idle       float64 `json:"idle"` // of a node in a second in which nothing comes
}

// MemoryCosts are bytes.
type MemoryCosts struct {
	Event   float64 `json:"event"`   // in the log
	Key     float64 `json:"key"`     // a source's id of an event
	Stream  float64 `json:"stream"`  // without subjects
	Subject float64 `json:"subject"` // of a stream
	SET     float64 `json:"set"`     // that waits
	Conn    float64 `json:"conn"`    // of a node: a connection kept to a receiver
	Poll    float64 `json:"poll"`    // of a node: a poll that waits
}

// WireCosts are bytes.
type WireCosts struct {
	Event      float64 `json:"event"`       // that comes in by HTTP
	SET        float64 `json:"set"`         // that goes out
	RedisEvent float64 `json:"redis_event"` // between a node and Redis, for each event
	RedisSET   float64 `json:"redis_set"`   // and for each SET
}

//go:embed costs.json
var builtin []byte

// Builtin returns the costs that were measured last and come with the program.
func Builtin() (*Costs, error) { return Read(strings.NewReader(string(builtin))) }

// maxCosts bounds what is read of a file of costs.
const maxCosts = 1 << 20

// Read reads costs. The error names what is unknown, missing or negative.
func Read(r io.Reader) (*Costs, error) {
	d := json.NewDecoder(io.LimitReader(r, maxCosts))
	d.DisallowUnknownFields()
	c := new(Costs)
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("simulate: costs: %w", err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("simulate: costs: %w", err)
	}
	return c, nil
}

func (c *Costs) check() error {
	var errs []error
	for _, group := range []any{c.Node, c.Redis, c.Memory, c.Wire} {
		v := reflect.ValueOf(group)
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() == reflect.Float64 && !(f.Float() >= 0 && f.Float() < 1e12) {
				errs = append(errs, fmt.Errorf("%s: got %v, want 0 or more", v.Type().Field(i).Tag.Get("json"), f.Float()))
			}
		}
	}
	if c.Node.Event == 0 || c.Redis.Append == 0 || len(c.Node.Sign) == 0 {
		errs = append(errs, errors.New("event, append and sign are required"))
	}
	for algorithm, us := range c.Node.Sign {
		if !(us > 0 && us < 1e12) {
			errs = append(errs, fmt.Errorf("sign %s: got %v, want more than 0", algorithm, us))
		}
	}
	return errors.Join(errs...)
}
