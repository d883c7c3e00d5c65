package bench

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// bar shows how far long work has come, on a terminal alone.
type bar struct{ bar *progressbar.ProgressBar }

// progress says what begins, and on a terminal how far it comes.
func (b *bench) progress(what string, total int) bar {
	f, ok := b.Progress.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		b.say("%s", what)
		return bar{}
	}
	return bar{progressbar.NewOptions(total, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription("bench: "+what),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())}
}

func (p bar) to(done int) {
	if p.bar != nil {
		_ = p.bar.Set(done) // it is for the eye alone
	}
}

func (p bar) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
