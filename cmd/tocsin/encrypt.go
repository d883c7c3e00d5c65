package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// encryptFlags say to whom SETs are encrypted, and how.
type encryptFlags struct {
	EncryptTo  string `help:"File with the receiver's public key, to which SETs are encrypted: a JWKS, a JWK or PEM; - for standard input." name:"encrypt-to" placeholder:"FILE"`
	EncryptKid string `help:"Which key of the file; default: the first that can be encrypted to." name:"encrypt-kid" placeholder:"KID"`
	EncryptAlg string `help:"Algorithm by which the content's key is encrypted; default: the key's, else RSA-OAEP-256 or ECDH-ES+A256KW." name:"encrypt-alg" enum:",RSA-OAEP-256,RSA-OAEP-384,RSA-OAEP-512,ECDH-ES,ECDH-ES+A128KW,ECDH-ES+A256KW" default:""`
	EncryptEnc string `help:"Algorithm by which the content is encrypted; default: A256GCM." name:"enc" enum:",A256GCM,A128GCM,A128CBC-HS256,A256CBC-HS512" default:""`
}

// encryption is it as the admin API is asked for it.
type encryption struct {
	Off     bool                `json:"off,omitempty"`
	Keys    *jose.EncryptionKey `json:"keys,omitempty"`
	KeyID   string              `json:"kid,omitempty"`
	Content string              `json:"enc,omitempty"` // "": A256GCM
}

// whole refuses to say how without to whom.
func (f encryptFlags) whole() error {
	if f.EncryptTo == "" && f.EncryptKid+f.EncryptAlg+f.EncryptEnc != "" {
		return usage("--encrypt-kid, --encrypt-alg and --enc go with --encrypt-to")
	}
	return nil
}

// ask reads the file; nil: none is named.
func (f encryptFlags) ask(std streamsIO) (*encryption, error) {
	if err := f.whole(); err != nil || f.EncryptTo == "" {
		return nil, err // nothing is asked
	}
	key, err := f.key(std)
	if err != nil {
		return nil, err
	}
	return &encryption{Keys: key, KeyID: key.ID(), Content: f.EncryptEnc}, nil
}

func (f encryptFlags) key(std streamsIO) (*jose.EncryptionKey, error) {
	name := f.EncryptTo
	if name != "-" {
		name = "@" + name
	}
	raw, err := readText(std, name, jose.MaxKeySetBytes)
	if err != nil {
		return nil, err
	}
	key, err := jose.ParseEncryptionKey(raw, f.EncryptKid, jose.KeyManagement(f.EncryptAlg))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.EncryptTo, err)
	}
	return key, nil
}

// encrypted returns the JWE of a signed SET.
func (f encryptFlags) encrypted(std streamsIO, compact string) (string, error) {
	key, err := f.key(std)
	if err != nil {
		return "", err
	}
	e, err := jose.NewEncrypter(key, jose.ContentEncryption(f.EncryptEnc))
	if err != nil {
		return "", err
	}
	return e.Encrypt(compact)
}

type streamEncryptCmd struct {
	dataFlags
	jsonFlag
	idArg
	encryptFlags
	Off bool `help:"Send SETs signed alone again."`
}

// Help shows an example.
func (streamEncryptCmd) Help() string {
	return "Example:\n  tocsin stream encrypt u4Zs0qk1 --encrypt-to shop.jwks\n  tocsin stream encrypt u4Zs0qk1 --encrypt-to shop.pem --enc A128GCM\n" +
		"  tocsin stream encrypt u4Zs0qk1 --off\nWithout either it prints what is set. It counts from now on, also for what waits (docs/encryption.md)."
}

// Run sets it, or reads it, and prints it.
func (c streamEncryptCmd) Run(ctx context.Context, std streamsIO) error {
	ask, err := c.ask(std)
	switch {
	case err != nil:
		return err
	case c.Off && ask != nil:
		return usage("--off and --encrypt-to exclude each other")
	case c.Off:
		ask = &encryption{Off: true}
	}
	return c.with(ctx, false, func(api *adminapi.Client) error {
		var stream struct {
			ID         string          `json:"stream_id"`
			Encryption json.RawMessage `json:"encryption"`
		}
		path, method, body := "/admin/streams/"+url.PathEscape(c.ID), http.MethodGet, any(nil)
		if ask != nil {
			path, method, body = path+"/encryption", http.MethodPut, ask
		}
		if err := api.Do(ctx, method, path, body, &stream); err != nil {
			return err
		}
		return printJSON(std.out, stream)
	})
}
