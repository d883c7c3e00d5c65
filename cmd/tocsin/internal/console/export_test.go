package console

import "time"

// For tests: who may do what.
var (
	Needed        = needed
	OperatorsWork = operatorsWork
)

// Judge judges the claims of an ID token, for a client of an issuer.
func Judge(issuer, client string, now func() time.Time, payload []byte, nonce string) (name string, groups []string, err error) {
	o := &oidc{Provider: Provider{Issuer: issuer, ClientID: client, GroupsClaim: "groups"}, now: now}
	p, err := o.judge(payload, nonce)
	if err != nil {
		return "", nil, err
	}
	return p.name(), p.groups, nil
}
