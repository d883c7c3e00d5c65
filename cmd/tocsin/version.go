package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{ printFlags }

// Help shows an example.
func (versionCmd) Help() string { return "Example:\n  tocsin version --json" }

// built is what is known of how the binary was made.
type built struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Revision string `json:"revision,omitempty"` // of the source
	Modified bool   `json:"modified,omitempty"` // the source was not that revision's alone
}

// Run prints it.
func (c versionCmd) Run(std streamsIO) error {
	b := built{Version: release(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	return c.print(std.out, b, "VERSION GO PLATFORM", func(w io.Writer) {
		fmt.Fprintf(w, "%s\t%s\t%s\n", b.Version, b.Go, b.Platform)
	})
}
