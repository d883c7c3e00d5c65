package auth

import (
	"fmt"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// Key sets of public keys whose private halves nobody has.
const (
	decoyRSA = `{"keys":[{"kty":"RSA","kid":"decoy","e":"AQAB","n":"z2qZK44Fa3la5FidkaHKlW-dmq0NLNqat1YfZ6VEz8ke_qLOfTGCpXgdbAC1xsw5hk-V_pD3JadfVMtxFtGkOGGI_Yg3jwNp00sAF_sJGrkFIuwtaiz52YTkyTZxnllb5yUhkSNWo4bqq1Vr0Z80XbN2vIxwhm2YLoEivFM31I7AhNsdkrRzuPubSP-k7ShmuZSCUC6ExZFMHNDEtnIrprVxH5CG_Px9R6ELGR2PtLwhrTXHuIucolfDcTgKm40NE2_n7Vm2WHWUNzYLatdJafiliP5hbDhaJ1yb_ILKcckH9VyN-oW56xVscOOUVPMJlPDeskZcvRicBC4TzYBSRQ"}]}`
	decoyEC  = `{"keys":[{"kty":"EC","kid":"decoy","crv":"P-256","x":"Jg50awNmvYlltMNh0JZ47jZzinP_Yysr7JR7sD9bCyc","y":"phFC2pr0sFepWJ3CDPG0s5BhUKB1J0VQRs0Iuy4pLUE"}]}`
	decoyOKP = `{"keys":[{"kty":"OKP","kid":"decoy","crv":"Ed25519","x":"LdJ4HLxIIzPyyoGxbMdHBE7N1XxsVwyQ3CcuCMsHeZk"}]}`
)

// decoy is what the signature of somebody is checked with who has no key for it.
type decoy struct {
	jwks []byte
	key  *jose.PublicKey
}

func newDecoys() (map[jose.Algorithm]decoy, error) {
	all := make(map[jose.Algorithm]decoy)
	for alg, jwks := range map[jose.Algorithm]string{jose.RS256: decoyRSA, jose.PS256: decoyRSA, jose.ES256: decoyEC, jose.EdDSA: decoyOKP} {
		set, err := jose.ParseKeySet([]byte(jwks))
		if err != nil {
			return nil, fmt.Errorf("decoy of %s: %w", alg, err)
		}
		key, err := set.Sole(alg)
		if err != nil {
			return nil, fmt.Errorf("decoy of %s: %w", alg, err)
		}
		all[alg] = decoy{[]byte(jwks), key}
	}
	return all, nil
}

// vainly checks the signature of m as if there were a key for it, and reads a key set if
// none was read, so that the time of a refusal does not tell which clients there are.
func (a *Authenticator) vainly(m *jose.Message, alg jose.Algorithm, read bool) {
	d := a.decoys[alg]
	if !read {
		_, _ = jose.ParseKeySet(d.jwks) // it is no matter what comes of it
	}
	_ = jose.Verify(m, d.key)
}
