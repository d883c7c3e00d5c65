package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/signer"
)

// signerTime bounds the question to a signer.
const signerTime = 5 * time.Second

// Signer looks at the process that holds the signing keys: who can change its socket, and
// whether it answers this user. It asks for public keys, and for no signature; it returns
// their ids, nil if it does not answer.
func Signer(ctx context.Context, r *Report, path string) (kids []string) {
	if !socket(r, path) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, signerTime)
	defer cancel()
	client, err := signer.New(signer.Config{Path: path, Timeout: signerTime})
	if err == nil {
		defer client.Close()
		err = client.Ask(ctx)
	}
	refusal, refused := errors.AsType[*signer.Refusal](err)
	switch {
	case refused && refusal.Code == signer.CodePeer:
		r.Warn("signer.reach", path, "tocsin doctor as the user of tocsin serve; if that one is refused: tocsin signer --allow USER", "the signer answers, and not to this user (id %d)", os.Geteuid())
		return nil
	case errors.Is(err, fs.ErrPermission):
		r.Warn("signer.reach", path, "tocsin doctor as the user of tocsin serve; that one has to be of the socket's group, and named by tocsin signer --allow", "this user (id %d) may not connect to the socket", os.Geteuid())
		return nil
	case err != nil:
		r.Fail("signer.reach", path, "look at the process of tocsin signer and its log; meanwhile events are taken and SETs wait", "the signer does not answer: %v", err)
		return nil
	}
	for _, key := range client.Announced().Keys() {
		kids = append(kids, key.ID())
	}
	r.OK("signer.reach", path, "the signer answers, with %d keys", len(kids))
	return kids
}

// Rights to a folder with which others could put their own socket in the place of ours.
const (
	othersPut   = 0o022
	othersEnter = 0o077 // where the kernel does not say who asks
)

// socket looks at the socket and its folder; false: there is nobody to ask.
func socket(r *Report, path string) bool {
	const do = "start tocsin signer --socket with this path, as a user who owns its folder (docs/operations/signer.md)"
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Fail("signer.socket", path, do, "there is no socket: SETs wait")
		return false
	case errors.Is(err, fs.ErrPermission):
		return true // the connection tells
	case err != nil || info.Mode().Type() != fs.ModeSocket:
		r.Fail("signer.socket", path, do, "it is no socket")
		return false
	}
	dir := filepath.Dir(path)
	forbidden := fs.FileMode(othersPut)
	if runtime.GOOS != "linux" {
		forbidden = othersEnter
	}
	if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&forbidden != 0 {
		r.Fail("signer.socket", path, "chmod go-w "+dir, "others can put a socket of theirs into its folder (mode %04o), and would be asked to sign", info.Mode().Perm())
		return true
	}
	r.OK("signer.socket", path, "its owner alone can put it there")
	return true
}
