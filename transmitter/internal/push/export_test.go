package push

import "context"

// IdleSenders bounds the senders that wait.
const IdleSenders = idleSenders

// StartsPerCPU bounds the streams that begin together.
const StartsPerCPU = startsPerCPU

// Start has f carried out by a sender.
func (p *Pusher) Start(ctx context.Context, f func()) { p.start(ctx, f) }

// Idle returns how many senders wait.
func (p *Pusher) Idle() int { return len(p.idle) }

// Wait returns when the last sender has ended.
func (p *Pusher) Wait() { p.done.Wait() }
