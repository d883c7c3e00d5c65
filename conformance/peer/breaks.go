package peer

import (
	"fmt"
	"net/http"
	"time"
)

// Break is one thing that a transmitter does otherwise than it should.
type Break struct {
	// ID is the requirement that is violated, or the name of a misbehaviour.
	ID string
	// Does says what happens, in a few words.
	Does string

	set func(*conduct)
}

// conduct is how a transmitter behaves beside the specifications: what alters its
// answers, SETs and pushes, and what it does otherwise. Its zero value is correct.
type conduct struct {
	before []func(t *Transmitter, r *request) *reply    // answers in place of the operation, unless nil
	after  []func(t *Transmitter, r *request, a *reply) // alters an answer
	drafts []func(t *Transmitter, d *Draft)             // alters a SET before it is signed
	signs  []func(t *Transmitter, d *Draft) string      // signs it another way
	pushes []func(t *Transmitter, r *http.Request)      // alters a push

	// What it does otherwise; the tables say which break sets which.
	anybody, anyScope, noReadScope, queryToken, ownTokens, openPoll     bool // authorization
	seesAll, sharedPoll, reusesID, anyEndpoint, anyAuthorization        bool // streams
	patchReplaces, putMerges, resetsOnPut, tellsNoChange, takesMismatch bool
	halfDone, otherToo, pollsDeleted                                    bool
	stopsNever, pausedLoses, disabledHolds, unordered, startsPaused     bool // status
	keepsReason, anyStatus, silentChange, updateLate, callsForgotten    bool
	anySubject, anySimple, noWildcard, anyEvent, othersSubjects         bool // subjects
	removeIgnored, addOnce, removeOnce, firstOnly                       bool
	stateLost, stateChanged, stateInvented, verifyDropped               bool // verification
	acksIgnored, errsIgnored, overMax, waitsAlways, waitsNever          bool // poll
	losesSent, ackAfter, moreAlways, moreNever                          bool
	noRetry, stubborn, storms, chokes, forgetsAuthorization             bool // push
	anyCertificate                                                      bool

	delay map[Op]time.Duration // before an answer is written
}

// conductOf returns the conduct that the named breaks make.
func conductOf(ids []string) (*conduct, error) {
	c := &conduct{delay: map[Op]time.Duration{}}
	for _, id := range ids {
		b, ok := breakNamed(id)
		if !ok {
			return nil, fmt.Errorf("%w: %s", ErrUnknownBreak, id)
		}
		b.set(c)
	}
	return c, nil
}

func breakNamed(id string) (Break, bool) {
	for _, b := range TransmitterBreaks() {
		if b.ID == id {
			return b, true
		}
	}
	return Break{}, false
}

// TransmitterBreaks returns all breaks of a [Transmitter], those named by requirements
// in the order of the checklist and the misbehaviours behind them.
func TransmitterBreaks() []Break {
	var all []Break
	for _, list := range [][]Break{setBreaks(), metadataBreaks(), streamBreaks(), statusBreaks(), subjectBreaks(), deliveryBreaks(), tricks()} {
		all = append(all, list...)
	}
	return all
}

// does is a break that only sets switches.
func does(id, text string, set func(*conduct)) Break { return Break{ID: id, Does: text, set: set} }

// drafts is a break of what a SET says.
func drafts(id, text string, alter func(d *Draft)) Break {
	return Break{ID: id, Does: text, set: func(c *conduct) {
		c.drafts = append(c.drafts, func(_ *Transmitter, d *Draft) { alter(d) })
	}}
}

// answers is a break of the answers to some operations; none: to all.
func answers(id, text string, alter func(r *request, a *reply), ops ...Op) Break {
	return Break{ID: id, Does: text, set: func(c *conduct) {
		c.after = append(c.after, func(_ *Transmitter, r *request, a *reply) {
			if isOne(r.op, ops) {
				alter(r, a)
			}
		})
	}}
}

// instead is a break that answers some requests in place of the operation, where answer
// returns one.
func instead(id, text string, answer func(t *Transmitter, r *request) *reply, ops ...Op) Break {
	return Break{ID: id, Does: text, set: func(c *conduct) {
		c.before = append(c.before, func(t *Transmitter, r *request) *reply {
			if !isOne(r.op, ops) {
				return nil
			}
			return answer(t, r)
		})
	}}
}

func isOne(op Op, ops []Op) bool {
	for _, one := range ops {
		if one == op {
			return true
		}
	}
	return len(ops) == 0
}
