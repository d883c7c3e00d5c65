package main_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// curl does what scripts and README ask of curl, where the machine has none:
// -s, -i, -X, -H, -d and --cacert.
func curl() {
	if err := fetch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		os.Exit(1)
	}
}

func fetch(args []string) error {
	var method, address, body string
	var include bool
	header := http.Header{}
	pool := x509.NewCertPool()
	for len(args) > 0 {
		flag := args[0]
		args = args[1:]
		switch flag {
		case "-s":
			continue
		case "-i":
			include = true
			continue
		case "-X", "-H", "-d", "--cacert":
		default:
			if strings.HasPrefix(flag, "-") {
				return fmt.Errorf("%s is not known here", flag)
			}
			address = flag
			continue
		}
		if len(args) == 0 {
			return fmt.Errorf("%s needs a value", flag)
		}
		value := args[0]
		args = args[1:]
		switch flag {
		case "-X":
			method = value
		case "-H":
			name, text, _ := strings.Cut(value, ":")
			header.Add(name, strings.TrimSpace(text))
		case "-d":
			body = value
		case "--cacert":
			raw, err := os.ReadFile(value)
			if err != nil {
				return err
			}
			if !pool.AppendCertsFromPEM(raw) {
				return errors.New("no certificate in " + value)
			}
		}
	}
	if method == "" {
		method = http.MethodGet
		if body != "" {
			method = http.MethodPost
		}
	}
	return call(method, address, body, header, pool, include)
}

func call(method, address, body string, header http.Header, pool *x509.CertPool, include bool) error {
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = header
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if include {
		fmt.Printf("%s %s\r\n", resp.Proto, resp.Status)
		if err := resp.Header.Write(os.Stdout); err != nil {
			return err
		}
		fmt.Print("\r\n")
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}
