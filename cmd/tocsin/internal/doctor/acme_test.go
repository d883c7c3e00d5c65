package doctor_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/doctor"
)

func TestACME(t *testing.T) {
	now := time.Now()
	const name, day = "ssf.example.com", 24 * time.Hour
	for _, tt := range []struct {
		name   string
		of     issued
		wanted []string
		mode   os.FileMode
		check  string
		want   doctor.Verdict
	}{
		{"fresh", issued{begin: now.Add(-day), end: now.Add(89 * day)}, nil, 0o600, "tls.expiry", doctor.OK},
		{"just due", issued{begin: now.Add(-60*day - time.Hour), end: now.Add(30*day - time.Hour)}, nil, 0o600, "tls.expiry", doctor.OK},
		{"renewal late", issued{begin: now.Add(-70 * day), end: now.Add(20 * day)}, nil, 0o600, "tls.expiry", doctor.Warn},
		{"short-lived, fresh", issued{begin: now.Add(-time.Hour), end: now.Add(23 * time.Hour)}, nil, 0o600, "tls.expiry", doctor.OK},
		{"expired", issued{begin: now.Add(-90 * day), end: now.Add(-time.Hour)}, nil, 0o600, "tls.expiry", doctor.Fail},
		{"for all to read", issued{begin: now.Add(-day), end: now.Add(89 * day)}, nil, 0o604, "tls.key", doctor.Fail},
		{"none yet", issued{begin: now.Add(-day), end: now.Add(89 * day)}, []string{"new.example.com"}, 0o600, "tls.acme", doctor.Warn},
		{"no name of it", issued{begin: now.Add(-day), end: now.Add(89 * day)}, []string{"new.example.com"}, 0o600, "tls.name", doctor.Fail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := t.TempDir()
			tt.of.names = []string{name}
			cert, _ := tt.of.write(t)
			text, err := os.ReadFile(cert)
			if err == nil {
				err = os.Mkdir(filepath.Join(data, acmecert.Folder), 0o700)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(data, acmecert.Folder, name+".pem"), text, tt.mode)
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.wanted == nil {
				tt.wanted = []string{name}
			}
			r := new(doctor.Report)
			doctor.Front{ACME: tt.wanted, Data: data, Names: []string{name}}.Look(r, now)
			check(t, r, tt.check, tt.want)
		})
	}
}

// acmeLooks provokes what is found of certificates by ACME alone.
func acmeLooks(t *testing.T, r *doctor.Report) {
	t.Helper()
	data := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(data, acmecert.Folder, "bad.example.com.pem"), 0o700)) // no file
	doctor.Front{ACME: []string{"new.example.com", "bad.example.com"}, Data: data}.Look(r, time.Now())
}
