package main_test

import (
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge/edgetest"
)

// Settings of mutual TLS arrive, and those that would do nothing are refused by name.
func TestMTLSSettings(t *testing.T) {
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8443}
	dir := t.TempDir()
	ca, bad := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "bad.pem")
	authority := edgetest.NewAuthority(t, "clients")
	for file, block := range map[string]*pem.Block{
		ca: {Type: "CERTIFICATE", Bytes: authority.Certificate.Raw}, bad: {Type: "PRIVATE KEY", Bytes: []byte{1}},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for args, fault := range map[string]string{
		"--mtls --insecure-loopback":                 "--mtls",
		"--client-ca " + ca + " --insecure-loopback": "--client-ca",
		"--client-cert-header":                       "--client-cert-header",
		"--mtls-url https://mtls.example":            "--mtls-url",
		"--mtls --mtls-url http://mtls.example":      "--mtls-url",
		"--mtls --mtls-url https://u@mtls.example":   "--mtls-url",
		"--client-ca " + dir + "/none.pem":           "--client-ca",
		"--client-ca " + bad:                         "bad.pem: has a block",
	} {
		if _, err := main.ServeConfig(strings.Fields(args), addr); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: got %v, want %s named", args, err, fault)
		}
	}
	for _, test := range []struct {
		args           string
		asked, vouched bool
		url            string
	}{
		{"", false, false, ""},
		{"--mtls", true, false, ""},
		{"--client-ca " + ca, true, true, ""},
		{"--client-cert-header --trusted-proxy 10.0.0.1/32", true, false, ""},
		{"--client-ca " + ca + " --insecure-loopback --client-cert-header --trusted-proxy 127.0.0.1/32", true, true, ""},
		{"--mtls --mtls-url https://mtls.example/x", true, false, "https://mtls.example/x"},
	} {
		cfg, err := main.ServeConfig(strings.Fields(test.args), addr)
		if err != nil {
			t.Errorf("%s: got %v", test.args, err)
			continue
		}
		if c := cfg.Transmitter; c.Certificates != test.asked || (c.ClientCAs != nil) != test.vouched || c.CertificateURL != test.url {
			t.Errorf("%s: got certificates %t, authorities %t, URL %q, want %+v", test.args, c.Certificates, c.ClientCAs != nil, c.CertificateURL, test)
		}
	}
}
