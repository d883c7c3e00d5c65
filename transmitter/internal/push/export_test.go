package push

import "context"

// IdleSenders bounds the senders that wait.
const IdleSenders = idleSenders

// StartsPerCPU bounds the streams that begin together.
const StartsPerCPU = startsPerCPU

// Senders are those of a Run of the pusher.
type Senders struct{ *run }

// Senders returns new ones.
func (p *Pusher) Senders() Senders { return Senders{p.on(nil)} }

// Start has f carried out by a sender.
func (s Senders) Start(ctx context.Context, f func()) { s.start(ctx, f) }

// Idle returns how many senders wait.
func (s Senders) Idle() int { return len(s.idle) }

// Wait returns when the last sender has ended.
func (s Senders) Wait() { s.done.Wait() }
