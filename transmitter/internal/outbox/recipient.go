package outbox

import (
	"crypto/sha256"
	"encoding/base64"
	"sync"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// maxRecipients bounds the recipients that are remembered; streams beyond it cost the
// reading of a key with each SET.
const maxRecipients = 4096

// recipients remembers what the text of [streams.Stream.Encryption] says.
type recipients struct {
	mu    sync.Mutex
	known map[string]recipient
}

// recipient is whom SETs are encrypted to; mark is another one for each key and enc.
type recipient struct {
	encrypter *jose.Encrypter
	mark      string
}

func (r *recipients) get(text string) (recipient, error) {
	r.mu.Lock()
	to, ok := r.known[text]
	r.mu.Unlock()
	if ok {
		return to, nil
	}
	encrypter, err := jose.ParseEncrypter([]byte(text))
	if err != nil {
		return recipient{}, err
	}
	sum := sha256.Sum256([]byte(text))
	to = recipient{encrypter, base64.RawURLEncoding.EncodeToString(sum[:])}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= maxRecipients {
		r.known = make(map[string]recipient)
	}
	r.known[text] = to
	return to, nil
}
