package main

import (
	"fmt"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/keyfile"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

type keyMakeDecryptionCmd struct {
	File      string `arg:"" help:"New file for the private key."`
	Algorithm string `help:"RSA-OAEP-256, RSA-OAEP-384, RSA-OAEP-512, ECDH-ES, ECDH-ES+A128KW or ECDH-ES+A256KW (default: ${default})." default:"ECDH-ES+A256KW" enum:"RSA-OAEP-256,RSA-OAEP-384,RSA-OAEP-512,ECDH-ES,ECDH-ES+A128KW,ECDH-ES+A256KW"`
	Curve     string `help:"Curve of ECDH-ES: P-256, P-384 or X25519; default: P-256." enum:",P-256,P-384,X25519" default:""`
	jsonFlag
}

// Help shows an example.
func (keyMakeDecryptionCmd) Help() string {
	return "Example:\n  tocsin key make-decryption shop-2027.jwk\n" +
		"The file is for decryption_keys of tocsin receive, in clear, for its owner alone to read. It prints the public half as a JWKS, for tocsin stream encrypt (docs/encryption.md)."
}

// Run makes it.
func (c keyMakeDecryptionCmd) Run(std streamsIO) error {
	key, err := jose.GenerateDecryptionKey(jose.KeyManagement(c.Algorithm), jose.Curve(c.Curve))
	if err != nil {
		return usage("--curve: %v", err)
	}
	if err := keyfile.WriteDecryption(c.File, key); err != nil {
		return err
	}
	return printJSON(std.out, map[string][]*jose.EncryptionKey{"keys": {key.Public()}})
}

// decryptionFlags name what opens encrypted SETs.
type decryptionFlags struct {
	DecryptionKey []string `help:"File with a private key to which the SET is encrypted, a JWK or PEM." name:"decryption-key" placeholder:"FILE"`
}

// keys reads them; nil: none are named.
func (f decryptionFlags) keys() (*jose.DecryptionKeys, error) {
	var keys []*jose.DecryptionKey
	for _, name := range f.DecryptionKey {
		key, err := keyfile.ReadDecryption(name)
		if err != nil {
			return nil, fmt.Errorf("--decryption-key: %w", err)
		}
		keys = append(keys, key)
	}
	if keys == nil {
		return nil, nil //nolint:nilnil // none are named
	}
	return jose.NewDecryptionKeys(keys...)
}

// open returns the signed SET in raw, and the kid that it was encrypted to.
func (f decryptionFlags) open(raw []byte) (signed []byte, kid string, err error) {
	if !jose.IsEncrypted(raw) {
		return raw, "", nil
	}
	keys, err := f.keys()
	if err != nil {
		return nil, "", err
	}
	if keys == nil {
		return nil, "", usage("the SET is encrypted: name the file of the key to which it is with --decryption-key")
	}
	if signed, err = set.Decrypt(raw, keys); err != nil {
		return nil, "", err
	}
	message, err := jose.ParseEncrypted(raw)
	if err != nil {
		return nil, "", err
	}
	return signed, message.KeyID, nil
}
