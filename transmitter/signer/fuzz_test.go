package signer_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/signer"
)

// What is read as a request is written as one that reads the same; nothing makes the
// reader panic.
func FuzzRequest(f *testing.F) {
	for _, body := range []string{
		`{"op":"list"}`, `{"op":"sign","kid":"a","alg":"ES256","digest":"AAAA"}`,
		`{"op":"sign","kid":"a","alg":"EdDSA","message":"ZXlKaGJHY2lPaUpGWkVSVFFTSjkuZTMw"}`, `{"op":1}`, ``,
	} {
		f.Add(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, '{'})
	f.Fuzz(func(t *testing.T, frame []byte) {
		once, ok := signer.Again(frame)
		if !ok {
			return
		}
		twice, ok := signer.Again(once)
		if !ok || !bytes.Equal(once, twice) {
			t.Errorf("got %q, then %q", once, twice)
		}
	})
}

// Whatever a signer answers, no more keys are heard than one may have, and nothing panics.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a","alg":"EdDSA"}]}`,
		`{"keys":[]}`, `{"signature":"AAAA"}`, `{"error":{"code":"busy"}}`, `{"keys":[1]}`,
	} {
		f.Add(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if n := signer.Heard(frame); n > signer.MaxKeys {
			t.Errorf("got %d keys, want at most %d", n, signer.MaxKeys)
		}
	})
}
