package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os/user"
	"runtime"
	"strconv"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/keyfile"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/pkcs11"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/signer"
)

// maxPIN bounds the file with the PIN of a token.
const maxPIN = 1 << 10

// signerCmd holds signing keys for a transmitter.
type signerCmd struct {
	Socket string   `help:"Unix socket to serve on; its folder must be this user's alone to change." required:"" placeholder:"PATH"`
	Key    []string `help:"File with a private key, PEM or JWK, that its owner alone may read; in front the algorithm where it is not the key's natural one (PS256=FILE). Repeatable: the first is used first." placeholder:"FILE" sep:"none"`
	config.KeySettings

	Allow []string `help:"User who may ask beside the one that this runs as, by name or number; the socket is the group's too then. Repeatable." placeholder:"USER"`
	Rate  float64  `help:"Signatures a second that each key makes at most; 0: any number." default:"0" placeholder:"N"`

	PKCS11Module  string   `help:"Library of a hardware security module (a binary built with PKCS #11)." placeholder:"FILE" name:"pkcs11-module" group:"PKCS #11:" and:"pkcs11"`
	PKCS11Token   string   `help:"Label of the token." placeholder:"LABEL" name:"pkcs11-token" group:"PKCS #11:" and:"pkcs11"`
	PKCS11PINFile string   `help:"File with the user's PIN; its last line break does not count." placeholder:"FILE" name:"pkcs11-pin-file" group:"PKCS #11:" and:"pkcs11"`
	PKCS11Key     []string `help:"Label of a key to sign with, in front the algorithm as with --key; default: all that the token has. Repeatable." placeholder:"LABEL" name:"pkcs11-key" group:"PKCS #11:" sep:"none"`

	JSON     bool   `help:"Print the first line as JSON, with the keys." name:"json"`
	LogLevel string `help:"debug, info, warn or error." default:"info" enum:"debug,info,warn,error"`
}

// Help shows an example.
func (signerCmd) Help() string {
	return "Examples:\n" +
		"  tocsin signer --socket /run/tocsin-signer/s.sock --key signer-key.json\n" +
		"  tocsin signer --socket /run/tocsin-signer/s.sock --pkcs11-module /usr/lib/softhsm/libsofthsm2.so --pkcs11-token tocsin --pkcs11-pin-file /etc/tocsin/pin\n" +
		"A key is made by tocsin key make. The transmitter is a tocsin serve --signer unix:/run/tocsin-signer/s.sock. It signs, and hands no key out. Its first line is tocsin: ready unix:PATH KEYS."
}

// Run signs until ctx ends.
func (c signerCmd) Run(ctx context.Context, std streamsIO) (err error) {
	logger := newLogger(std.err, c.LogLevel)
	users, err := c.users()
	if err != nil {
		return err
	}
	keys, done, err := c.keys(ctx, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	server, err := signer.NewServer(signer.ServerConfig{Keys: keys, Users: users, Rate: c.Rate, Logger: logger})
	if err != nil {
		return err
	}
	listener, err := signer.Listen(ctx, c.Socket, len(users) > 0)
	if err != nil {
		return fmt.Errorf("serving on %s (--socket): %w", c.Socket, err)
	}
	if err := c.ready(std, keys); err != nil {
		return errors.Join(err, listener.Close())
	}
	for _, key := range keys {
		logger.Info("holds a key", slog.String("kid", key.Public.ID()), slog.String("alg", string(key.Public.Algorithm())))
	}
	return server.Serve(ctx, listener)
}

// ready prints the first line.
func (c signerCmd) ready(std streamsIO, keys []signer.Key) error {
	if !c.JSON {
		_, err := fmt.Fprintf(std.out, "tocsin: ready unix:%s %d\n", c.Socket, len(keys))
		return err
	}
	line := struct {
		Ready  bool              `json:"ready"`
		Socket string            `json:"socket"`
		Keys   []*jose.PublicKey `json:"keys"`
	}{true, c.Socket, nil}
	for _, key := range keys {
		line.Keys = append(line.Keys, key.Public)
	}
	return json.NewEncoder(std.out).Encode(line)
}

// users are the ids of those whom --allow names.
func (c signerCmd) users() (ids []int, err error) {
	if len(c.Allow) > 0 && runtime.GOOS != "linux" {
		return nil, usage("--allow: on this system the kernel does not say who asks; run signer and transmitter as one user")
	}
	if c.Rate < 0 {
		return nil, usage("--rate: got %v, want 0 or more", c.Rate)
	}
	for _, name := range c.Allow {
		id, err := strconv.ParseUint(name, 10, 31)
		if err != nil {
			found, err := user.Lookup(name)
			if err != nil {
				return nil, usage("--allow %s: %v", name, err)
			}
			if id, err = strconv.ParseUint(found.Uid, 10, 31); err != nil {
				return nil, usage("--allow %s: its id %s is no number", name, found.Uid)
			}
		}
		ids = append(ids, int(id)) //nolint:gosec // 31 bits
	}
	return ids, nil
}

// keys are those of the files, then those of the token, and what is to be called at the
// end.
func (c signerCmd) keys(ctx context.Context, logger *slog.Logger) (keys []signer.Key, done func() error, err error) {
	if len(c.Key) == 0 && c.PKCS11Module == "" {
		return nil, nil, usage("name at least one key with --key, or a token with --pkcs11-module")
	}
	secret, err := c.Secret(logger)
	if err != nil {
		return nil, nil, err
	}
	for _, text := range c.Key {
		alg, path := pkcs11.Named(text)
		key, err := keyfile.Read(ctx, path, alg, secret)
		if err != nil {
			return nil, nil, fmt.Errorf("--key: %w", err)
		}
		keys = append(keys, signer.Key{Public: key.Public(), Signer: key.Raw()})
	}
	if c.PKCS11Module == "" {
		if c.PKCS11Key != nil {
			return nil, nil, usage("--pkcs11-key names keys of a token: name that with --pkcs11-module")
		}
		return keys, func() error { return nil }, nil
	}
	pin, err := keyfile.Secret(c.PKCS11PINFile, maxPIN)
	if err != nil {
		return nil, nil, fmt.Errorf("--pkcs11-pin-file: %w", err)
	}
	pin = bytes.TrimSuffix(bytes.TrimSuffix(pin, []byte("\n")), []byte("\r"))
	more, done, err := pkcs11.Open(pkcs11.Config{Module: c.PKCS11Module, Token: c.PKCS11Token, PIN: string(pin), Keys: c.PKCS11Key})
	if err != nil {
		return nil, nil, fmt.Errorf("--pkcs11-module: %w", err)
	}
	return append(keys, more...), done, nil
}
