package wellknown_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tocsin-ssf/tocsin/wellknown"
)

const issuer = "https://tr.example/t1"

func configuration() wellknown.Configuration {
	return wellknown.Configuration{
		SpecVersion:              wellknown.SpecVersion,
		Issuer:                   issuer,
		JWKSURI:                  issuer + "/jwks.json",
		DeliveryMethodsSupported: []string{"urn:ietf:rfc:8935", "urn:ietf:rfc:8936"},
		ConfigurationEndpoint:    issuer + "/ssf/streams",
		StatusEndpoint:           issuer + "/ssf/status",
		AddSubjectEndpoint:       issuer + "/ssf/subjects/add",
		RemoveSubjectEndpoint:    issuer + "/ssf/subjects/remove",
		VerificationEndpoint:     issuer + "/ssf/verify",
		CriticalSubjectMembers:   []string{"tenant"},
		AuthorizationSchemes:     []wellknown.AuthorizationScheme{{SpecURN: wellknown.SchemeOAuth2URN}},
		DefaultSubjects:          wellknown.SubjectsAll,
	}
}

// SSF-7.1-03 to SSF-7.1-10: the members and their names. SSF-7.2.3-01: what is empty
// is left out.
func TestConfigurationJSON(t *testing.T) {
	got, err := json.Marshal(configuration())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"spec_version":"1_0","issuer":"https://tr.example/t1","jwks_uri":"https://tr.example/t1/jwks.json",` +
		`"delivery_methods_supported":["urn:ietf:rfc:8935","urn:ietf:rfc:8936"],` +
		`"configuration_endpoint":"https://tr.example/t1/ssf/streams","status_endpoint":"https://tr.example/t1/ssf/status",` +
		`"add_subject_endpoint":"https://tr.example/t1/ssf/subjects/add","remove_subject_endpoint":"https://tr.example/t1/ssf/subjects/remove",` +
		`"verification_endpoint":"https://tr.example/t1/ssf/verify","critical_subject_members":["tenant"],` +
		`"authorization_schemes":[{"spec_urn":"urn:ietf:rfc:6749"}],"default_subjects":"ALL"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	back, err := wellknown.ParseConfiguration(got)
	if diff := cmp.Diff(configuration(), back); diff != "" || err != nil {
		t.Errorf("read back: %v, -want +got:\n%s", err, diff)
	}
	for _, c := range []wellknown.Configuration{
		{Issuer: issuer},
		{Issuer: issuer, DeliveryMethodsSupported: []string{}, CriticalSubjectMembers: []string{}, AuthorizationSchemes: []wellknown.AuthorizationScheme{}},
	} {
		if got, err := json.Marshal(c); err != nil || string(got) != `{"issuer":"https://tr.example/t1"}` {
			t.Errorf("got %s, %v, want the issuer alone", got, err)
		}
	}
}

func TestParseConfiguration(t *testing.T) {
	for _, tt := range []struct {
		name string
		body string
		want *wellknown.Configuration // nil: refused
	}{
		{"unknown members, SSF-7.1-11", `{"issuer":"i","supported_scopes":{"a":[1]}}`, &wellknown.Configuration{Issuer: "i"}},
		{"unknown default_subjects, SSF-7.1-11", `{"issuer":"i","default_subjects":"SOME"}`, &wellknown.Configuration{Issuer: "i"}},
		{"lower-case default_subjects, SSF-7.1-10", `{"issuer":"i","default_subjects":"all"}`, &wellknown.Configuration{Issuer: "i"}},
		{"further members of a scheme", `{"issuer":"i","authorization_schemes":[{"spec_urn":"urn:a:b","x":1}]}`, &wellknown.Configuration{
			Issuer: "i", AuthorizationSchemes: []wellknown.AuthorizationScheme{{SpecURN: "urn:a:b"}},
		}},
		{"other case is another member", `{"issuer":"i","JWKS_URI":"x"}`, &wellknown.Configuration{Issuer: "i"}},
		{"issuer twice", `{"issuer":"i","issuer":"j"}`, nil},
		{"string for array", `{"issuer":"i","delivery_methods_supported":"urn:ietf:rfc:8935"}`, nil},
		{"number for string", `{"issuer":1}`, nil},
		{"array", `[]`, nil},
		{"trailing text", `{"issuer":"i"}x`, nil},
		{"not UTF-8", "{\"issuer\":\"\xff\"}", nil},
		{"empty", ``, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := wellknown.ParseConfiguration([]byte(tt.body))
			if tt.want == nil {
				if !errors.Is(err, wellknown.ErrDocument) {
					t.Errorf("got %+v, %v, want ErrDocument", got, err)
				}
				return
			}
			if diff := cmp.Diff(*tt.want, got); diff != "" || err != nil {
				t.Errorf("%v, -want +got:\n%s", err, diff)
			}
		})
	}
}

// SSF-7.2.4-01: the issuer is the same byte for byte. SSF-7.1-02, SSF-7.1-05: URLs are
// https.
func TestConfigurationValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*wellknown.Configuration)
		issuer string
		want   bool
	}{
		{"whole", func(*wellknown.Configuration) {}, issuer, true},
		{"least", func(c *wellknown.Configuration) { *c = wellknown.Configuration{Issuer: issuer} }, issuer, true},
		{"endpoint on another host", func(c *wellknown.Configuration) { c.JWKSURI = "https://keys.example/" }, issuer, true},
		{"trailing slash asked for", func(*wellknown.Configuration) {}, issuer + "/", false},
		{"trailing slash answered", func(c *wellknown.Configuration) { c.Issuer += "/" }, issuer, false},
		{"other case", func(c *wellknown.Configuration) { c.Issuer = "https://TR.example/t1" }, issuer, false},
		{"no issuer", func(c *wellknown.Configuration) { c.Issuer = "" }, issuer, false},
		{"no issuer at all", func(c *wellknown.Configuration) { c.Issuer = "" }, "", false},
		{"issuer with query", func(c *wellknown.Configuration) { c.Issuer = "https://tr.example/?t=1" }, "https://tr.example/?t=1", false},
		{"http key set", func(c *wellknown.Configuration) { c.JWKSURI = "http://tr.example/jwks.json" }, issuer, false},
		{"http endpoint", func(c *wellknown.Configuration) { c.VerificationEndpoint = "http://tr.example/" }, issuer, false},
		{"relative endpoint", func(c *wellknown.Configuration) { c.StatusEndpoint = "/ssf/status" }, issuer, false},
		{"endpoint with user", func(c *wellknown.Configuration) { c.AddSubjectEndpoint = "https://u@tr.example/" }, issuer, false},
		{"default_subjects, SSF-7.1-10", func(c *wellknown.Configuration) { c.DefaultSubjects = "SOME" }, issuer, false},
		{"spec_urn, SSF-7.1-08", func(c *wellknown.Configuration) {
			c.AuthorizationSchemes = []wellknown.AuthorizationScheme{{SpecURN: "rfc6749"}}
		}, issuer, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := configuration()
			tt.change(&c)
			err := c.Validate(tt.issuer)
			if got := err == nil; got != tt.want || !tt.want && !errors.Is(err, wellknown.ErrDocument) {
				t.Errorf("got %v, want accepted %v", err, tt.want)
			}
		})
	}
	local := wellknown.Configuration{Issuer: "http://127.0.0.1:80", JWKSURI: "http://127.0.0.1:80/jwks.json"}
	if err := local.Validate(local.Issuer); err != nil {
		t.Errorf("got %v, want http accepted below an http issuer", err)
	}
}

// What parses is written and read back the same, and a failed parse returns nothing.
func FuzzParseConfiguration(f *testing.F) {
	whole, err := json.Marshal(configuration())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"issuer":"https://h","default_subjects":"SOME","authorization_schemes":[{}]}`))
	f.Add([]byte(`{"issuer":null,"critical_subject_members":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := wellknown.ParseConfiguration(body)
		if err != nil {
			if diff := cmp.Diff(wellknown.Configuration{}, got); diff != "" {
				t.Errorf("got a document beside an error:\n%s", diff)
			}
			return
		}
		written, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		back, err := wellknown.ParseConfiguration(written)
		if diff := cmp.Diff(got, back, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%s read back: %v, -want +got:\n%s", written, err, diff)
		}
	})
}
