package conformance_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// fuzzed are the parsers, by folder and name, with the fuzz targets that reach each. A
// parser is an exported function or method whose name begins with Parse, Decode, Read or
// Unmarshal, and what also says it.
var fuzzed = map[string]string{
	"cmd/tocsin/internal/receive.Read":                "cmd/tocsin/internal/settings/FuzzDecode receiver/policy/FuzzLoad",
	"cmd/tocsin/internal/receive.audience.Unmarshal":  "cmd/tocsin/internal/receive/FuzzDoors",
	"cmd/tocsin/internal/script.Read":                 "cmd/tocsin/internal/settings/FuzzDecode",
	"cmd/tocsin/internal/settings.Node.Decode":        "cmd/tocsin/internal/settings/FuzzDecode",
	"cmd/tocsin/internal/settings.Parse":              "cmd/tocsin/internal/settings/FuzzDecode",
	"cmd/tocsin/internal/settings.Read":               "cmd/tocsin/internal/settings/FuzzDecode",
	"receiver.Receiver.Read":                          "receiver/FuzzRead",
	"receiver/client.streamList.Unmarshal":            "streams/FuzzConfiguration",
	"receiver/hooks/denylist.ParseClaims":             "receiver/hooks/denylist/FuzzParseClaims",
	"receiver/hooks/values.ParseTemplate":             "receiver/hooks/values/FuzzParseTemplate",
	"receiver/hooks/values.Who.Parse":                 "receiver/hooks/values/FuzzParseTemplate",
	"receiver/sessions/check.audience.Unmarshal":      "receiver/sessions/check/FuzzToken",
	"receiver/siwa.Dialect.Read":                      "receiver/siwa/FuzzRead",
	"set.Parse":                                       "set/FuzzParse set/FuzzVerify",
	"set.ParseTolerance":                              "receiver/profile/FuzzTolerances",
	"set.ParseTolerances":                             "receiver/profile/FuzzTolerances",
	"set.Verifier.Read":                               "set/FuzzVerify receiver/FuzzRead",
	"set/caep.AssuranceLevelChange.Unmarshal":         "set/internal/payload/FuzzDecode",
	"set/caep.CredentialChange.Unmarshal":             "set/internal/payload/FuzzDecode",
	"set/caep.DeviceComplianceChange.Unmarshal":       "set/internal/payload/FuzzDecode",
	"set/caep.RiskLevelChange.Unmarshal":              "set/internal/payload/FuzzDecode",
	"set/caep.SessionEstablished.Unmarshal":           "set/internal/payload/FuzzDecode",
	"set/caep.SessionPresented.Unmarshal":             "set/internal/payload/FuzzDecode",
	"set/caep.SessionRevoked.Unmarshal":               "set/internal/payload/FuzzDecode",
	"set/caep.TokenClaimsChange.Unmarshal":            "set/internal/payload/FuzzDecode",
	"set/delivery.ParseFailure":                       "set/delivery/FuzzParseFailure",
	"set/delivery.ParsePollRequest":                   "set/delivery/FuzzParsePollRequest",
	"set/delivery.ParsePollResponse":                  "set/delivery/FuzzParsePollResponse",
	"set/delivery.PollRequest.Unmarshal":              "set/delivery/FuzzParsePollRequest",
	"set/delivery.PollResponse.Unmarshal":             "set/delivery/FuzzParsePollResponse",
	"set/internal/payload.Decode":                     "set/internal/payload/FuzzDecode",
	"set/jose.Parse":                                  "set/jose/FuzzParse",
	"set/jose.ParseAlgorithm":                         "set/jose/FuzzParse set/FuzzVerify",
	"set/jose.ParseContentEncryption":                 "set/jose/FuzzParseEncrypted",
	"set/jose.ParseDecryptionKey":                     "set/jose/FuzzParseEncryptionKey",
	"set/jose.ParseEncrypted":                         "set/jose/FuzzParseEncrypted",
	"set/jose.ParseEncrypter":                         "set/jose/FuzzParseEncryptionKey",
	"set/jose.ParseEncryptionKey":                     "set/jose/FuzzParseEncryptionKey",
	"set/jose.ParseKeyManagement":                     "set/jose/FuzzParseEncrypted",
	"set/jose.ParseKeySet":                            "set/jose/FuzzParseKeySet",
	"set/jose.ParsePEM":                               "set/jose/FuzzParseKey",
	"set/jose.ParsePrivateKey":                        "set/jose/FuzzParseKey",
	"set/jose.ParsePrivatePEM":                        "set/jose/FuzzParseKey",
	"set/jose.ParsePublicKey":                         "set/jose/FuzzParseKey",
	"set/jose.Parser.Parse":                           "set/jose/FuzzParse",
	"set/risc.AccountDisabled.Unmarshal":              "set/internal/payload/FuzzDecode",
	"set/risc.CredentialCompromise.Unmarshal":         "set/internal/payload/FuzzDecode",
	"set/risc.IdentifierChanged.Unmarshal":            "set/internal/payload/FuzzDecode",
	"set/risc.Plain.Unmarshal":                        "set/internal/payload/FuzzDecode",
	"set/ssf.StreamUpdated.Unmarshal":                 "set/internal/payload/FuzzDecode",
	"set/ssf.Verification.Unmarshal":                  "set/internal/payload/FuzzDecode",
	"set/subject.Identifier.Unmarshal":                "set/subject/FuzzParse",
	"set/subject.Parse":                               "set/subject/FuzzParse",
	"set/subject.ParseLegacy":                         "set/subject/FuzzParseLegacy",
	"set/subject.ParseStrict":                         "set/subject/FuzzParse",
	"set/yamlfile.Parse":                              "set/yamlfile/FuzzParse",
	"streams.Audience.Unmarshal":                      "streams/FuzzConfiguration",
	"streams.Configuration.Unmarshal":                 "streams/FuzzConfiguration",
	"streams.ParseRequest":                            "streams/FuzzParseRequest",
	"streams.ParseStatusReport":                       "streams/FuzzParseOperations",
	"streams.ParseSubjectChange":                      "streams/FuzzParseOperations",
	"streams.ParseVerificationRequest":                "streams/FuzzParseOperations",
	"transmitter/audit.ParseProof":                    "transmitter/audit/FuzzParseProof transmitter/audit/FuzzProof",
	"transmitter/auth.ParseScopes":                    "transmitter/auth/FuzzParseScopes",
	"transmitter/checkpoint.Parse":                    "transmitter/checkpoint/FuzzParse",
	"transmitter/checkpoint.ParseKey":                 "transmitter/checkpoint/FuzzParseKey",
	"transmitter/eventlog.Decode":                     "transmitter/eventlog/FuzzDecode",
	"transmitter/internal/acts.tee.Read":              "transmitter/internal/acts/FuzzTell transmitter/FuzzOpenAPI",
	"transmitter/internal/erase.Handler.Read":         "transmitter/FuzzOpenAPI",
	"transmitter/internal/ingest.Parse":               "transmitter/internal/ingest/FuzzPost",
	"transmitter/internal/manage.Handlers.ReadStatus": "transmitter/FuzzOpenAPI",
	"transmitter/internal/manage.Handlers.ReadStream": "transmitter/FuzzOpenAPI",
	"transmitter/internal/request.ParsePage":          "transmitter/internal/request/FuzzPage",
	"transmitter/internal/webhook.Handler.Read":       "transmitter/FuzzOpenAPI",
	"transmitter/internal/webhook.ParseRequest":       "transmitter/internal/webhook/FuzzRequest",
	"transmitter/mapping.ReadOneLoginTypes":           "transmitter/source/FuzzAnswer",
	"transmitter/profile.Parse":                       "transmitter/profile/FuzzParse",
	"wellknown.ParseAuthorizationServer":              "wellknown/FuzzParseMetadata",
	"wellknown.ParseConfiguration":                    "wellknown/FuzzParseConfiguration",
	"wellknown.ParseProtectedResource":                "wellknown/FuzzParseMetadata",

	// Parsers of other names.
	"receiver/policy.Load":                           "receiver/policy/FuzzLoad",
	"receiver/sessions.FromCookie":                   "receiver/sessions/check/FuzzCheck",
	"set/delivery/edge.Handler":                      "set/delivery/edge/FuzzRequest",
	"set/delivery/guard.CheckURL":                    "set/delivery/guard/FuzzCheckURL",
	"streams/store/redisdb.Connect":                  "streams/store/redisdb/FuzzConnect",
	"streams/store/redisdb.Within":                   "streams/store/redisdb/FuzzConnect",
	"transmitter/auth.Authenticator.Authenticate":    "transmitter/auth/FuzzAuthenticate",
	"transmitter/auth.Authenticator.TokenHandler":    "transmitter/auth/FuzzTokenRequest transmitter/auth/FuzzAssertion",
	"transmitter/auth.Store.SignedByVendor":          "transmitter/auth/FuzzSignature",
	"transmitter/checkpoint.Keeper.Cosign":           "transmitter/checkpoint/FuzzParse",
	"transmitter/eventlog.ActOf":                     "transmitter/eventlog/FuzzEntries",
	"transmitter/eventlog.AnnotationOf":              "transmitter/eventlog/FuzzEntries",
	"transmitter/eventlog.Record.Erasures":           "transmitter/eventlog/FuzzErasures",
	"transmitter/eventlog/segments.Each":             "transmitter/eventlog/segments/FuzzEach",
	"transmitter/internal/acts.Recorder.Wrap":        "transmitter/internal/acts/FuzzTell",
	"transmitter/internal/eventapi.Handler.Annotate": "transmitter/internal/eventapi/FuzzPatch",
	"transmitter/internal/eventapi.Handler.Find":     "transmitter/internal/eventapi/FuzzSearch transmitter/internal/eventapi/FuzzCursor",
	"transmitter/mapping.Mapper.Record":              "transmitter/mapping/FuzzRecord",
	"transmitter/source.OneLogin.Events":             "transmitter/source/FuzzAnswer",
	"transmitter/vault.Open":                         "transmitter/vault/FuzzOpen",
	"wellknown.ResourceMetadata":                     "wellknown/FuzzResourceMetadata",
}

// unfuzzed are those of that name that read nothing from outside, with why.
var unfuzzed = map[string]string{
	"cmd/tocsin.textMapper.Decode":                  "takes an argument of the command line as it is",
	"cmd/tocsin/internal/acmecert.boundedBody.Read": "bytes, bounded",
	"cmd/tocsin/internal/config.Days.Unmarshal":     "a flag of the operator's: a number and a unit",
	"cmd/tocsin/internal/config.Limit.Unmarshal":    "a flag of the operator's: two numbers",
	"cmd/tocsin/internal/telemetry.Part.Unmarshal":  "a flag of the operator's: a number",
	"cmd/tocsin/internal/config.SecretFiles.Read":   "the bytes of a file, bounded",
	"cmd/tocsin/internal/figures.Keeper.Read":       "figures that we have counted ourselves",
	"cmd/tocsin/internal/figures.Value.Unmarshal":   "figures that we have counted ourselves",
	"cmd/tocsin/internal/keyfile.Read":              "a file of the operator that nobody else may write; what reads the key is fuzzed",
	"cmd/tocsin/internal/keyfile.ReadDecryption":    "a file of the operator that nobody else may write; what reads the key is fuzzed",
	"cmd/tocsin/internal/settings.ReadSecret":       "the bytes of a file, bounded",
	"cmd/tocsin/internal/simulate.Read":             "the tables that bench --simulate is given by its operator",
	"set/delivery/guard.ReadBody":                   "bytes, bounded",
	"streams/internal/form.DecodeStream":            "what a store of ours holds",
	"streams/store/sqlitedb.DB.Read":                "runs a reading transaction",
	"transmitter/auth.SQLite.Read":                  "runs a reading transaction",
	"transmitter/auth.sealed.Read":                  "runs a reading transaction",
	"transmitter/auth/redisauth.Backend.Read":       "runs a reading transaction",
	"transmitter/consent.Read":                      "an entry of the log that the gate alone writes",
	"transmitter/eventlog.tiles.ReadTiles":          "hashes of the log's own tree",
	"transmitter/eventlog/internal/tail.Tail.Read":  "records of a log",
	"transmitter/eventlog/redislog.Log.Read":        "records of a log",
	"transmitter/eventlog/sqlitelog.Log.Read":       "records of a log",
	"transmitter/internal/replay.Read":              "an entry of the log that replay alone writes",
}

// decoding are the folders that call a decoder of a format, with the targets that reach
// what is theirs, or why there is none: nobody else's bytes come there.
var decoding = map[string]string{
	"set/delivery/edge":                      "set/delivery/edge/FuzzClientCert",
	"cmd/tocsin/internal/acmecert":           "its own files in the data folder, and the certificate that the operator's ACME server gives",
	"cmd/tocsin":                             "answers of the operator's own server, and files of the operator",
	"cmd/tocsin/internal/certfile":           "files of the operator",
	"cmd/tocsin/internal/acts":               "what a store of ours holds",
	"cmd/tocsin/internal/adminapi":           "answers of the operator's own server",
	"cmd/tocsin/internal/config":             "the operator's file of flags; each value is read as one of the command line",
	"cmd/tocsin/internal/console":            "cmd/tocsin/internal/console/FuzzJudge",
	"cmd/tocsin/internal/doctor":             "files of the operator, of whom it says what is wrong",
	"cmd/tocsin/internal/figures":            "figures that we have written into a file",
	"cmd/tocsin/internal/keyfile":            "a file of the operator that nobody else may write",
	"cmd/tocsin/internal/localca":            "certificates that we have written",
	"cmd/tocsin/internal/node":               "marks that we have written into a folder",
	"cmd/tocsin/internal/receive":            "cmd/tocsin/internal/receive/FuzzDoors",
	"cmd/tocsin/internal/script":             "what the receiver's own client has read, written again",
	"cmd/tocsin/internal/simulate":           "tables that bench is given by its operator",
	"receiver":                               "receiver/FuzzPush receiver/FuzzRead",
	"receiver/client":                        "streams/FuzzConfiguration",
	"receiver/credential":                    "what a command that the operator names prints",
	"receiver/hooks/call":                    "answers to a hook, which reads them into a form and believes nothing else",
	"receiver/hooks/denylist":                "receiver/hooks/denylist/FuzzParseClaims",
	"receiver/hooks/exec":                    "one number that a command of the operator's prints",
	"receiver/inbox/redisinbox":              "what a store of ours holds",
	"receiver/journal/redisjournal":          "what a store of ours holds",
	"receiver/keeper":                        "streams/FuzzConfiguration set/internal/payload/FuzzDecode",
	"receiver/policy":                        "receiver/policy/FuzzLoad",
	"receiver/sessions/check":                "receiver/sessions/check/FuzzToken receiver/sessions/check/FuzzCheck",
	"receiver/sessions/redissessions":        "what a store of ours holds",
	"receiver/siwa":                          "receiver/siwa/FuzzRead",
	"set":                                    "set/FuzzParse set/FuzzVerify",
	"set/jose":                               "set/jose/FuzzParse set/jose/FuzzParseKey set/jose/FuzzParseKeySet",
	"set/yamlfile":                           "set/yamlfile/FuzzParse",
	"streams":                                "streams/FuzzParseRequest streams/FuzzParseOperations streams/FuzzConfiguration",
	"streams/internal/form":                  "what a store of ours holds",
	"streams/redisstore":                     "what a store of ours holds",
	"streams/sqlitestore":                    "what a store of ours holds",
	"streams/store/redisdb":                  "streams/store/redisdb/FuzzConnect",
	"transmitter/audit":                      "transmitter/audit/FuzzParseProof",
	"transmitter/auth":                       "transmitter/auth/FuzzAssertion transmitter/auth/FuzzTokenRequest transmitter/auth/FuzzAuthenticate",
	"transmitter/auth/redisauth":             "what a store of ours holds",
	"transmitter/checkpoint":                 "transmitter/checkpoint/FuzzParse transmitter/checkpoint/FuzzParseKey",
	"transmitter/checkpoint/redischeckpoint": "what a store of ours holds",
	"transmitter/consent":                    "entries of the log that the gate alone writes",
	"transmitter/eventlog":                   "transmitter/eventlog/FuzzDecode transmitter/eventlog/FuzzEntries transmitter/eventlog/FuzzErasures",
	"transmitter/eventlog/segments":          "transmitter/eventlog/segments/FuzzEach",
	"transmitter/internal/acts":              "transmitter/internal/acts/FuzzTell",
	"transmitter/internal/admin":             "transmitter/FuzzOpenAPI transmitter/FuzzRoutes",
	"transmitter/internal/consentapi":        "transmitter/FuzzOpenAPI transmitter/FuzzRoutes",
	"transmitter/internal/erase":             "transmitter/FuzzOpenAPI",
	"transmitter/internal/eventapi":          "transmitter/internal/eventapi/FuzzSearch transmitter/internal/eventapi/FuzzPatch transmitter/FuzzOpenAPI",
	"transmitter/internal/ingest":            "transmitter/internal/ingest/FuzzPost transmitter/internal/ingest/FuzzRecords",
	"transmitter/internal/manage":            "transmitter/FuzzOpenAPI",
	"transmitter/internal/replay":            "entries of the log that replay alone writes",
	"transmitter/internal/webhook":           "transmitter/internal/webhook/FuzzRequest",
	"transmitter/keys":                       "what a store of ours holds",
	"transmitter/keys/rediskeys":             "what a store of ours holds",
	"transmitter/mapping":                    "transmitter/mapping/FuzzRecord transmitter/mapping/FuzzRules",
	"transmitter/profile":                    "payloads that the builder has checked",
	"transmitter/signer":                     "transmitter/signer/FuzzRequest transmitter/signer/FuzzAnswer",
	"transmitter/source":                     "transmitter/source/FuzzAnswer",
	"transmitter/vault":                      "transmitter/vault/FuzzOpen",
	"wellknown":                              "wellknown/FuzzParseMetadata wellknown/FuzzParseConfiguration",
}

// decoders are the functions that read a format, by the path of their package.
var decoders = map[string][]string{
	"encoding/json":                           {"Unmarshal", "NewDecoder"},
	"github.com/go-json-experiment/json":      {"Unmarshal", "UnmarshalRead", "UnmarshalDecode"},
	"go.yaml.in/yaml/v3":                      {"Unmarshal", "NewDecoder"},
	"github.com/knadh/koanf/parsers/yaml":     {"Parser"},
	"encoding/pem":                            {"Decode"},
	"encoding/gob":                            {"NewDecoder"},
	"encoding/xml":                            {"Unmarshal", "NewDecoder"},
	"encoding/csv":                            {"NewReader"},
	"encoding/asn1":                           {"Unmarshal"},
	"encoding/binary":                         {"Uvarint", "Varint", "Read"},
	"compress/gzip":                           {"NewReader"},
	"archive/zip":                             {"NewReader", "OpenReader"},
	"archive/tar":                             {"NewReader"},
	"crypto/tls":                              {"X509KeyPair", "LoadX509KeyPair"},
	"crypto/x509":                             {"ParseCertificate", "ParsePKIXPublicKey", "ParsePKCS8PrivateKey"},
	"golang.org/x/mod/sumdb/note":             {"Open"},
	"github.com/transparency-dev/formats/log": {"ParseCheckpoint"},
	"github.com/lestrrat-go/jwx/v2/jwk":       {"Parse", "ParseKey"},
	"github.com/lestrrat-go/jwx/v2/jws":       {"Parse"},
	"net/url":                                 {"ParseQuery"},
}

// Every parser has a fuzz target, which is there, or a reason; none is forgotten, and no
// row is of one that is gone.
func TestParsersAreFuzzed(t *testing.T) {
	found, uses := map[string]bool{}, map[string][]string{}
	targets := map[string]bool{}
	walk(t, func(folder, name string, file *ast.File) {
		if strings.HasSuffix(name, "_test.go") {
			for _, fn := range functions(file) {
				if strings.HasPrefix(fn.Name.Name, "Fuzz") {
					targets[folder+"/"+fn.Name.Name] = true
				}
			}
			return
		}
		if strings.HasPrefix(folder, "conformance") || strings.HasSuffix(folder, "/bench") || strings.Contains(folder, "/examples/") {
			return // what a person runs against a peer that he names, or against himself
		}
		for _, fn := range functions(file) {
			found[folder+"."+known(fn)] = true
		}
		if names := used(file, decoders); len(names) > 0 {
			uses[folder] = append(uses[folder], names...)
		}
	})
	named := regexp.MustCompile(`^(Parse|Decode|Read|Unmarshal)([A-Z]|$)`)
	for parser := range found {
		name := parser[strings.LastIndexByte(parser, '.')+1:]
		if named.MatchString(name) && name != "Ready" && fuzzed[parser] == "" && unfuzzed[parser] == "" {
			t.Errorf("%s: got neither a fuzz target nor a reason why there is none", parser)
		}
	}
	for parser, by := range fuzzed {
		if !found[parser] || unfuzzed[parser] != "" {
			t.Errorf("%s: got no such parser, or a reason besides", parser)
		}
		wantTargets(t, parser, by, targets)
	}
	for parser, why := range unfuzzed {
		if !found[parser] || why == "" {
			t.Errorf("%s: got no such function, or no reason", parser)
		}
	}
	for folder, names := range uses {
		slices.Sort(names)
		if decoding[folder] == "" {
			t.Errorf("%s: got neither a fuzz target nor a reason for %s", folder, strings.Join(slices.Compact(names), ", "))
		}
	}
	for folder, by := range decoding {
		if uses[folder] == nil {
			t.Errorf("%s: got no decoder, want the row gone", folder)
		}
		if strings.Contains(by, "/Fuzz") {
			wantTargets(t, folder, by, targets)
		}
	}
}

func wantTargets(t *testing.T, of, by string, there map[string]bool) {
	t.Helper()
	for target := range strings.FieldsSeq(by) {
		if !there[target] {
			t.Errorf("%s: got no target %s", of, target)
		}
	}
}

// walk shows the Go files of the module, but for those that tests alone use.
func walk(t *testing.T, show func(folder, name string, file *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && name != "." || isTestPackage(d.Name())) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		if err == nil {
			show(filepath.ToSlash(filepath.Dir(name)), name, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func functions(file *ast.File) (list []*ast.FuncDecl) {
	for _, d := range file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.IsExported() {
			list = append(list, fn)
		}
	}
	return list
}

// known is how the tables name a function: UnmarshalJSON, -Text and -YAML as Unmarshal.
func known(fn *ast.FuncDecl) string {
	name := fn.Name.Name
	if strings.HasPrefix(name, "Unmarshal") {
		name = "Unmarshal"
	}
	if fn.Recv == nil {
		return name
	}
	of := fn.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if generic, ok := of.(*ast.IndexExpr); ok {
		of = generic.X
	}
	if id, ok := of.(*ast.Ident); ok {
		return id.Name + "." + name
	}
	return name
}

// used returns what of some packages' functions a file uses.
func used(file *ast.File, of map[string][]string) (names []string) {
	imported := map[string]string{}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || of[path] == nil {
			continue
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if name == "v3" {
			name = "yaml"
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imported[name] = path
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := s.X.(*ast.Ident); ok && slices.Contains(of[imported[pkg.Name]], s.Sel.Name) {
				names = append(names, pkg.Name+"."+s.Sel.Name)
			}
		}
		return true
	})
	return names
}

// The test can fail: a decoder is found under whatever name, and what is none is not.
func TestParsersFound(t *testing.T) {
	for source, want := range map[string]string{
		`import "encoding/json"; var x = json.Unmarshal`:                                "json.Unmarshal",
		`import j "github.com/go-json-experiment/json"; func f() { j.UnmarshalRead() }`: "j.UnmarshalRead",
		`import "go.yaml.in/yaml/v3"; func f() { yaml.NewDecoder(nil) }`:                "yaml.NewDecoder",
		`import "encoding/json"; var x = json.Marshal`:                                  "",
		`import "x/json"; var x = json.Unmarshal`:                                       "",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x; "+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(used(file, decoders), " "); got != want {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
	if len(slices.Collect(maps.Keys(fuzzed))) < 80 {
		t.Errorf("got %d parsers", len(fuzzed))
	}
}
