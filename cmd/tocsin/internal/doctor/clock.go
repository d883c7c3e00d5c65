package doctor

import (
	"time"
)

// Bounds of clocks.
const (
	clockApart = 5 * time.Second  // what a receiver adds to the time of events (skew)
	clockWrong = 60 * time.Second // tokens and assertions are refused
	clockJump  = 500 * time.Millisecond
)

// Clock tells the time of the wall, which may be set, and that since some moment, which
// is not. The machine's is MachineClock.
type Clock func() (wall time.Time, steady time.Duration)

// MachineClock returns the clock of this machine.
func MachineClock() Clock {
	begun := time.Now()
	return func() (time.Time, time.Duration) {
		now := time.Now()
		return now.Round(0), now.Sub(begun)
	}
}

// Steady begins to watch the clock. The function it returns, called later, notes whether
// the clock was set meanwhile.
func Steady(r *Report, clock Clock) (done func()) {
	wall, steady := clock()
	return func() {
		wallNow, steadyNow := clock()
		jump := wallNow.Sub(wall) - (steadyNow - steady)
		if jump.Abs() > clockJump {
			r.Warn("clock.steady", "", "let the clock be slewed, not stepped (chrony, systemd-timesyncd)", "the clock of this machine was set by %v while it was watched: leases and lifetimes suffer", jump.Round(time.Millisecond))
			return
		}
		r.OK("clock.steady", "", "the clock of this machine goes evenly")
	}
}

// apart notes how far a clock is from ours. ahead is theirs minus ours.
func apart(r *Report, of string, ahead time.Duration) {
	const do = "set the clock of this machine by NTP (timedatectl set-ntp true); if it is right, tell whom the other belongs to"
	word := "ahead of"
	if ahead < 0 {
		word = "behind"
	}
	far := ahead.Abs().Round(time.Second)
	switch {
	case far > clockWrong:
		r.Fail("clock", of, do, "its clock is %v %s ours: tokens are refused for their times, and events end sessions that began later, or do not", far, word)
	case far > clockApart:
		r.Warn("clock", of, do, "its clock is %v %s ours: more than what a receiver adds to the time of events (skew)", far, word)
	default:
		r.OK("clock", of, "its clock agrees with ours")
	}
}
