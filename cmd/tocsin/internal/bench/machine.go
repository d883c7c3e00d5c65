package bench

import (
	"bufio"
	"os"
	"runtime"
	"strings"
)

// Machine is what was measured on.
type Machine struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	CPU   string `json:"cpu,omitempty"`
	CPUs  int    `json:"cpus"`
	Go    string `json:"go"`
	Quick bool   `json:"quick"`
	// Floors are medians of all rounds, in µs.
	Floors map[string]float64 `json:"floors"`
}

func (b *bench) machine() (Machine, error) {
	m := Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuModel(), CPUs: runtime.NumCPU(),
		Go: runtime.Version(), Quick: b.Quick, Floors: map[string]float64{},
	}
	for name, seen := range b.floor.seen {
		m.Floors[name] = median(seen)
	}
	return m, nil
}

// cpuModel is the processor's name, or "" where the system does not tell.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close() // it is only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
