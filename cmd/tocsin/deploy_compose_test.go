package main_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type compose struct {
	Name     string
	Hardened composeService `yaml:"x-hardened"`
	Services map[string]composeService
	Networks map[string]struct{ Internal bool }
	Volumes  map[string]struct{}
	Configs  map[string]struct{ File string }
	Secrets  map[string]struct{ File string }
}

type composeService struct {
	Image       string
	Build       *struct{ Context string }
	User        string
	Command     []string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Restart     string
	PidsLimit   int    `yaml:"pids_limit"`
	MemLimit    string `yaml:"mem_limit"`
	Environment map[string]string
	Configs     []struct{ Source, Target string }
	Secrets     []string
	Volumes     []string
	Tmpfs       []string
	Ports       []string
	Networks    []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Stop        string                                `yaml:"stop_grace_period"`
	Healthcheck *struct {
		Test              []string
		Interval, Timeout string
		Start             string `yaml:"start_period"`
	}
}

// docs/deploy/compose.yaml is hardened throughout, and what it gives our commands they
// take.
func TestComposeFile(t *testing.T) {
	file := strictly[compose](t, deployFile(t, "compose.yaml"))[0]
	if len(file.Services) != 5 {
		t.Errorf("got %d services, want five", len(file.Services))
	}
	targets := string(deployFile(t, "compose/prometheus.yml"))
	for name, s := range file.Services {
		if !pinned.MatchString(s.Image) || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") ||
			s.User == "" || strings.HasPrefix(s.User, "0") || s.PidsLimit == 0 || s.MemLimit == "" {
			t.Errorf("%s: got %+v, want a pinned image, a read-only root, no capability, no root, bounds", name, s)
		}
		for _, secret := range s.Secrets {
			if file.Secrets[secret].File == "" {
				t.Errorf("%s: got the secret %s, which there is not", name, secret)
			}
		}
		d := deployed{args: s.Command}
		for _, c := range s.Configs {
			d.mounts = append(d.mounts, c.Target)
			raw := deployFile(t, file.Configs[c.Source].File)
			if strings.HasPrefix(c.Target, "/etc/tocsin/") {
				d.config = string(raw)
			}
		}
		for _, secret := range s.Secrets {
			d.secrets = append(d.secrets, "/run/secrets/"+secret)
		}
		for key, value := range s.Environment {
			byFile(t, name, key, value, d.secrets)
		}
		for _, volume := range s.Volumes {
			from, to, _ := strings.Cut(volume, ":")
			if _, ok := file.Volumes[from]; !ok {
				t.Errorf("%s: got the volume %s, which there is not", name, from)
			}
			d.mounts = append(d.mounts, to)
		}
		if name != "transmitter" && name != "receiver" {
			continue
		}
		for _, port := range s.Ports {
			_, inside, _ := strings.Cut(port, ":")
			d.ports = append(d.ports, inside)
		}
		if _, port, ok := strings.Cut(targets, name+":"); ok {
			d.ports = append(d.ports, port[:4])
		}
		d.check(t)
		if s.Healthcheck == nil || len(s.Healthcheck.Test) < 3 {
			t.Errorf("%s: got no health check", name)
			continue
		}
		health(t, s.Healthcheck.Test[1:])
	}
	for _, path := range secretPath.FindAllString(targets, -1) {
		if !slices.Contains(file.Services["prometheus"].Secrets, filepath.Base(path)) {
			t.Errorf("Prometheus: got %s, which is not mounted", path)
		}
	}
}
