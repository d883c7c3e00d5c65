package node_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// planted are secrets of an installation, by what they are.
type planted map[string][]byte

// Secrets of others, as they are given.
const (
	ofVendor    = "planted-api-token-of-the-vendor"
	ofSignature = "planted-signature-secret-123456"
	ofWebhook   = "planted-bearer-of-the-webhook"
)

// plant opens a folder in clear, puts secrets of every kind into it, and tells them.
func plant(t *testing.T, dir string) planted {
	t.Helper()
	n, err := node.Open(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, n.Close()) }()
	_, err = n.Keys.Rotate(t.Context())
	check(t, err)
	_, err = n.Applications.AddApplication(t.Context(), auth.Application{ID: "shop", Audience: []string{"https://shop.example"}})
	check(t, err)
	check(t, n.Applications.AddWebhook(t.Context(), auth.Webhook{ID: "w", Application: "shop", Revision: "1", Settings: []byte(`{"bearer":"` + ofWebhook + `"}`)}))
	_, err = n.Applications.AddVendorSource(t.Context(), auth.VendorSource{
		Source: auth.Source{Name: "prints"}, Kind: auth.KindFingerprint, Auth: auth.VendorNone, SignatureSecret: ofSignature,
	})
	check(t, err)
	_, err = n.Applications.AddVendorSource(t.Context(), auth.VendorSource{
		Source: auth.Source{Name: "hr"}, Kind: auth.KindOneLogin, Auth: auth.VendorBearer,
		API: &auth.VendorAPI{URL: "https://acme.onelogin.com", ClientID: "us", Secret: ofVendor, Every: time.Minute},
	})
	check(t, err)
	all := planted{"vendor": []byte(ofVendor), "signature": []byte(ofSignature), "webhook": []byte(ofWebhook)}
	records, err := keys.NewStore(n.Applications.DB()).Keys(t.Context())
	check(t, err)
	if len(records) != 2 {
		t.Fatalf("got %d keys, want 2", len(records))
	}
	for _, r := range records {
		var jwk map[string]string
		check(t, json.Unmarshal(r.Private, &jwk))
		for _, member := range []string{"d", "p", "q", "dp", "dq", "qi"} {
			raw, err := base64.RawURLEncoding.DecodeString(jwk[member])
			if err != nil || len(raw) < 32 {
				t.Fatalf("%s: got %d bytes (%v), want a private half", member, len(raw), err)
			}
			all[r.ID+" "+member] = raw
		}
	}
	key, _, err := checkpoint.NewStore(n.Applications.DB()).Key(t.Context())
	check(t, err)
	all["log"] = key.Stored()
	if _, _, err := localca.Certificate(dir, []string{"localhost"}, nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, localca.KeyFile))
	check(t, err)
	all["CA as PEM"] = text[40:140]
	return all
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("got %v, want no error", err)
	}
}

// in returns which of the secrets are in a text, raw or in an encoding.
func (p planted) in(text []byte) (found []string) {
	for name, secret := range p {
		for _, form := range [][]byte{
			secret, []byte(hex.EncodeToString(secret)), []byte(base64.RawURLEncoding.EncodeToString(secret)), []byte(base64.RawStdEncoding.EncodeToString(secret)),
		} {
			if bytes.Contains(text, form) {
				found = append(found, name)
				break
			}
		}
	}
	return found
}

// inFolder looks into every file below dir.
func (p planted) inFolder(t *testing.T, dir string) (found []string) {
	t.Helper()
	check(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, name := range p.in(raw) {
			found = append(found, filepath.Base(path)+": "+name)
		}
		return err
	}))
	return found
}

func secretOf(t *testing.T, text string) *vault.Secret {
	t.Helper()
	s, err := vault.Passphrase([]byte(text))
	check(t, err)
	return &s
}

const passphrase = "planted passphrase of the test"

// with opens a node with a secret, and returns what it logged.
func with(t *testing.T, cfg node.Config, s *vault.Secret) (*node.Node, *bytes.Buffer, error) {
	t.Helper()
	var lines bytes.Buffer
	cfg.Secret, cfg.Transmitter.Logger = s, slog.New(slog.NewTextHandler(&lines, nil))
	n, err := node.Open(t.Context(), cfg)
	return n, &lines, err
}

// works makes sure that a node can use its secrets.
func works(t *testing.T, n *node.Node) {
	t.Helper()
	compact, err := n.Keys.Signer().Sign([]byte(`{}`))
	check(t, err)
	m, err := jose.Parse([]byte(compact))
	check(t, err)
	key, err := n.Keys.KeySet().Find(m.Header.KeyID, jose.RS256)
	check(t, err)
	check(t, jose.Verify(m, key))
	if n := len(n.Keys.List()); n != 2 {
		t.Errorf("got %d keys, want 2", n)
	}
	w, err := n.Applications.Webhook(t.Context(), "w")
	if err != nil || !strings.Contains(string(w.Settings), ofWebhook) {
		t.Errorf("got %s, %v, want the webhook's settings", w.Settings, err)
	}
	called, err := n.Applications.CalledSources(t.Context())
	if err != nil || len(called) != 1 || called[0].API.Secret != ofVendor {
		t.Errorf("got %d sources that are called, %v, want one with its secret", len(called), err)
	}
}

// What was stored in clear is encrypted at the first start with a passphrase, which is
// told; none of it is left in any file of the folder, nor in a copy.
func TestSecretsAreEncrypted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	secrets := plant(t, dir)
	if found := secrets.inFolder(t, dir); len(found) != len(secrets) {
		t.Fatalf("before: got %q in the folder, want all %d: the test looks at nothing", found, len(secrets))
	}
	n, told, err := with(t, config(dir), secretOf(t, passphrase))
	check(t, err)
	if sealed, err := localca.Seal(dir, n.Vault); !sealed || err != nil {
		t.Errorf("the CA's key: got %t, %v, want it sealed", sealed, err)
	}
	for _, want := range []string{"encrypted from now on", "signing keys were stored in clear", "the log's key was stored in clear", "vendors and webhooks were stored in clear"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("got %s, want %q told", told, want)
		}
	}
	works(t, n)
	if found := secrets.inFolder(t, dir); len(found) > 0 {
		t.Errorf("while it runs: got %q in the folder, want nothing", found)
	}
	_, err = n.Keys.Rotate(t.Context())
	check(t, err)
	to := filepath.Join(t.TempDir(), "copy")
	check(t, n.Backup(t.Context(), to))
	check(t, n.Close())
	secrets["passphrase"] = []byte(passphrase)
	for _, folder := range []string{dir, to} {
		if found := secrets.inFolder(t, folder); len(found) > 0 {
			t.Errorf("got %q in %s, want nothing", found, filepath.Base(folder))
		}
	}
	if found := secrets.in(told.Bytes()); len(found) > 0 {
		t.Errorf("got %q in the log, want nothing", found)
	}
	other, told, err := with(t, config(to), secretOf(t, passphrase))
	check(t, err)
	defer func() { check(t, other.Close()) }()
	if strings.Contains(told.String(), "clear") {
		t.Errorf("the second time: got %s, want nothing told", told)
	}
	if _, _, err := localca.Certificate(to, []string{"localhost"}, other.Vault); err != nil {
		t.Errorf("the CA of the copy: got %v, want a certificate", err)
	}
	if _, _, err := localca.Certificate(to, []string{"localhost"}, nil); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("the CA without a passphrase: got %v, want ErrLocked", err)
	}
}

// A wrong passphrase, or none, is an error before anything is served; commands that need
// no secret work without, and store nothing in clear.
func TestWrongPassphrase(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir)
	n, _, err := with(t, config(dir), secretOf(t, passphrase))
	check(t, err)
	check(t, n.Close())
	for _, tt := range []struct {
		name   string
		secret *vault.Secret
		want   error
	}{
		{"wrong", secretOf(t, "some wrong words"), vault.ErrWrong},
		{"none", nil, vault.ErrLocked},
	} {
		_, told, err := with(t, config(dir), tt.secret)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), "--key-passphrase-file") || strings.Contains(err.Error()+told.String(), "some wrong words") {
			t.Errorf("%s: got %v, want %v that names the flags", tt.name, err, tt.want)
		}
	}
	offline := config(dir)
	offline.Offline = true
	n, _, err = with(t, offline, nil)
	check(t, err)
	defer func() { check(t, n.Close()) }()
	if got := n.Keys.List(); len(got) != 2 || n.Keys.KeySet().Len() != 2 {
		t.Errorf("offline: got %d keys, want the two", len(got))
	}
	_, err1 := n.Keys.Rotate(t.Context())
	_, err2 := n.Keys.Signer().Sign([]byte(`{}`))
	err3 := n.Applications.AddWebhook(t.Context(), auth.Webhook{ID: "v", Application: "shop", Revision: "1", Settings: []byte(`{}`)})
	_, err4 := n.Applications.Webhook(t.Context(), "w")
	for i, err := range []error{err1, err2, err3, err4} {
		if !errors.Is(err, vault.ErrLocked) {
			t.Errorf("offline, %d: got %v, want ErrLocked", i, err)
		}
	}
	if _, err := n.Applications.AddClient(t.Context(), auth.Client{ID: "c", Application: "shop", Scopes: []auth.Scope{auth.ScopeRead}}); err != nil {
		t.Errorf("a client, offline: got %v, want it added", err)
	}
}

// In Redis all stays encrypted: what a move takes along, and what one node encrypts.
func TestSecretsInRedis(t *testing.T) {
	for name, sealFirst := range map[string]bool{"encrypted, then moved": true, "moved, then encrypted": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			secrets := plant(t, dir)
			delete(secrets, "CA as PEM")
			if sealFirst {
				n, _, err := with(t, config(dir), secretOf(t, passphrase))
				check(t, err)
				check(t, n.Close())
			}
			server := redistest.StartDurable(t)
			cfg := redisdb.Config{URL: server.URL()}
			if _, err := node.Migrate(t.Context(), node.MoveConfig{Dir: dir, Redis: cfg}); err != nil {
				t.Fatal(err)
			}
			nodes := config(t.TempDir())
			nodes.Redis = &cfg
			n, told, err := with(t, nodes, secretOf(t, passphrase))
			check(t, err)
			defer func() { check(t, n.Close()) }()
			works(t, n)
			if got := strings.Contains(told.String(), "signing keys were stored in clear"); got == sealFirst {
				t.Errorf("got %s, want it told: %t", told, !sealFirst)
			}
			client := server.Client(t)
			if !sealFirst { // the append-only file has it until it is rewritten
				check(t, client.BgRewriteAOF(t.Context()).Err())
				for rewritten := false; !rewritten; {
					info, err := client.Info(t.Context(), "persistence").Result()
					check(t, err)
					rewritten = strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0")
				}
			}
			folder, err := client.ConfigGet(t.Context(), "dir").Result()
			check(t, err)
			looked := 0
			check(t, client.ConfigSet(t.Context(), "rdbcompression", "no").Err())
			all, err := client.Keys(t.Context(), "*").Result()
			check(t, err)
			for _, key := range all {
				dump, err := client.Dump(t.Context(), key).Result()
				check(t, err)
				looked += len(dump)
				if found := secrets.in([]byte(dump)); len(found) > 0 {
					t.Errorf("%s: got %q, want nothing", key, found)
				}
			}
			if found := secrets.inFolder(t, folder["dir"]); len(found) > 0 || looked == 0 {
				t.Errorf("got %q on the server's disk, want nothing", found)
			}
		})
	}
}

// A node that runs since before another encrypts keeps nothing in clear any more, and says
// what to do; what needs no secret it goes on with. Without the passphrase it does not start.
func TestSealedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	secrets := plant(t, dir)
	delete(secrets, "CA as PEM")
	server := redistest.StartDurable(t)
	cfg := redisdb.Config{URL: server.URL()}
	if _, err := node.Migrate(t.Context(), node.MoveConfig{Dir: dir, Redis: cfg}); err != nil {
		t.Fatal(err)
	}
	older, newer := config(t.TempDir()), config(t.TempDir())
	older.Redis, newer.Redis = &cfg, &cfg
	before, _, err := with(t, older, nil)
	check(t, err)
	_, err = before.Keys.Rotate(t.Context()) // in clear, as it may
	check(t, err)
	n, _, err := with(t, newer, secretOf(t, passphrase))
	check(t, err)
	defer func() { check(t, n.Close()) }()

	const late = "planted-after-the-other-encrypts"
	secrets["late"] = []byte(late)
	_, rotated := before.Keys.Rotate(t.Context())
	added := before.Applications.AddWebhook(t.Context(), auth.Webhook{ID: "v", Application: "shop", Revision: "1", Settings: []byte(late)})
	_, vendor := before.Applications.AddVendorSource(t.Context(), auth.VendorSource{
		Source: auth.Source{Name: "late"}, Kind: auth.KindFingerprint, Auth: auth.VendorNone, SignatureSecret: late + late,
	})
	for what, err := range map[string]error{"rotate": rotated, "webhook": added, "vendor": vendor} {
		if !errors.Is(err, vault.ErrSealed) || !strings.Contains(err.Error(), "--key-passphrase-file") {
			t.Errorf("%s: got %v, want ErrSealed that names the flag", what, err)
		}
	}
	w := &world{t: t, n: before}
	if got := w.operate(409, "POST", "/admin/keys/rotate", ""); !strings.Contains(got, "--key-passphrase-file") {
		t.Errorf("over the API: got %s, want it to name the flag", got)
	}
	_, err = before.Applications.AddClient(t.Context(), auth.Client{ID: "c", Application: "shop", Scopes: []auth.Scope{auth.ScopeRead}})
	check(t, err)
	client := server.Client(t)
	all, err := client.Keys(t.Context(), "*").Result()
	check(t, err)
	check(t, client.ConfigSet(t.Context(), "rdbcompression", "no").Err())
	for _, key := range all {
		dump, err := client.Dump(t.Context(), key).Result()
		check(t, err)
		if found := secrets.in([]byte(dump)); len(found) > 0 {
			t.Errorf("%s: got %q in clear, want nothing", key, found)
		}
	}
	check(t, before.Close())
	if _, _, err := with(t, older, nil); !errors.Is(err, vault.ErrLocked) || !strings.Contains(err.Error(), "--key-passphrase-file") {
		t.Errorf("without the passphrase: got %v, want ErrLocked that names the flag", err)
	}
	again, _, err := with(t, older, secretOf(t, passphrase))
	check(t, err)
	_, err = again.Keys.Rotate(t.Context())
	check(t, err)
	check(t, again.Close())
}

// The passphrase is changed while the node runs; it goes on, and the next start needs the
// new one.
func TestRewrap(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir)
	n, _, err := with(t, config(dir), secretOf(t, passphrase))
	check(t, err)
	w := &world{t: t, n: n}
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	ask := func(status int, from, to string) string {
		return w.operate(status, "POST", "/admin/keys/rewrap", `{"from":{"passphrase":"`+encode(from)+`"},"to":{"key":"`+encode(to)+`"}}`)
	}
	key := strings.Repeat("k", vault.KeySize)
	if got := ask(409, "not the passphrase", key); !strings.Contains(got, "another passphrase") {
		t.Errorf("got %s, want it to say why", got)
	}
	ask(400, "short", key)
	ask(400, passphrase, "short")
	ask(204, passphrase, key)
	works(t, n)
	check(t, n.Close())
	if _, _, err := with(t, config(dir), secretOf(t, passphrase)); !errors.Is(err, vault.ErrWrong) {
		t.Errorf("the passphrase before: got %v, want ErrWrong", err)
	}
	secret, err := vault.Key([]byte(key))
	check(t, err)
	n, _, err = with(t, config(dir), &secret)
	check(t, err)
	works(t, n)
	check(t, n.Close())
}
