package acts

import "github.com/tocsin-ssf/tocsin/transmitter/eventlog"

// Tell adds what body and answer say of the act, as far as it may be told.
func (s Spec) Tell(act *eventlog.Act, body, answer []byte) { s.tell(act, body, answer) }
