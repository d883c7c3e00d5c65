package main_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// docs/deploy/compose.yaml is hardened throughout, and what it gives our commands they
// take.
func TestComposeFile(t *testing.T) {
	file := project(t)
	if len(file.Services) != 5 {
		t.Errorf("got %d services, want five", len(file.Services))
	}
	targets := string(deployFile(t, "compose/prometheus.yml"))
	for name, s := range file.Services {
		if !pinned.MatchString(s.Image) || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") ||
			s.User == "" || strings.HasPrefix(s.User, "0") || s.PidsLimit == 0 || s.MemLimit == 0 {
			t.Errorf("%s: got %+v, want a pinned image, a read-only root, no capability, no root, bounds", name, s)
		}
		d := deployed{args: s.Command}
		for _, c := range s.Configs {
			d.mounts = append(d.mounts, c.Target)
			raw, err := os.ReadFile(file.Configs[c.Source].File)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(c.Target, "/etc/tocsin/") {
				d.config = string(raw)
			}
		}
		for _, secret := range s.Secrets {
			d.secrets = append(d.secrets, "/run/secrets/"+secret.Source)
		}
		for key, value := range s.Environment {
			if value != nil {
				byFile(t, name, key, *value, d.secrets)
			}
		}
		for _, volume := range s.Volumes {
			if volume.Type != types.VolumeTypeVolume {
				t.Errorf("%s: got a mount of %s, want a volume", name, volume.Source)
			}
			d.mounts = append(d.mounts, volume.Target)
		}
		if name != "transmitter" && name != "receiver" {
			continue
		}
		for _, port := range s.Ports {
			d.ports = append(d.ports, strconv.FormatUint(uint64(port.Target), 10))
		}
		if _, port, ok := strings.Cut(targets, name+":"); ok {
			d.ports = append(d.ports, port[:4])
		}
		d.check(t)
		if s.HealthCheck == nil || len(s.HealthCheck.Test) < 3 {
			t.Errorf("%s: got no health check", name)
			continue
		}
		health(t, s.HealthCheck.Test[1:])
	}
	for _, path := range secretPath.FindAllString(targets, -1) {
		if !slices.ContainsFunc(file.Services["prometheus"].Secrets, func(s types.ServiceSecretConfig) bool { return s.Source == filepath.Base(path) }) {
			t.Errorf("Prometheus: got %s, which is not mounted", path)
		}
	}
}

// project loads docs/deploy/compose.yaml as Compose does: by its schema, with all that it
// refers to.
func project(t *testing.T) *types.Project {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join(root, "docs/deploy"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  folder,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(folder, "compose.yaml")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
