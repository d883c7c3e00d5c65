package set

import (
	"errors"
	"strings"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// open returns the signed SET in what came.
func (v *Verifier) open(compact []byte) ([]byte, error) {
	if jose.IsEncrypted(compact) {
		return Decrypt(compact, v.cfg.Decryption)
	}
	if v.cfg.RequireEncryption {
		// A key that is missing is told as one that is wrong: the SET may come again
		// encrypted.
		return nil, &Error{Code: delivery.CodeInvalidKey, Description: "the SET must be encrypted to this receiver"}
	}
	return compact, nil
}

// Decrypt returns the signed SET in a compact JWE, which it does not look into. keys may
// be nil. Errors are [*Error] (U21): invalid_key for an algorithm that is not allowed, no
// key and one that does not decrypt it, else invalid_request. What they say of a key that
// does not fit whoever made the JWE knows; why one that fits did not decrypt it nobody is
// told.
func Decrypt(compact []byte, keys *jose.DecryptionKeys) ([]byte, error) {
	message, err := jose.ParseEncrypted(compact)
	switch {
	case errors.Is(err, jose.ErrAlgorithm):
		return nil, invalidKey("the encryption algorithm is not allowed", jose.ErrAlgorithm)
	case errors.Is(err, jose.ErrTooLarge):
		return nil, &Error{Code: delivery.CodeInvalidRequest, Description: "the SET is too large", Err: err}
	case err != nil:
		return nil, &Error{Code: delivery.CodeInvalidRequest, Description: "the SET is not a compact JWE", Err: err}
	case !isNested(message.ContentType):
		return nil, invalid("cty of an encrypted SET must be " + jose.ContentTypeJWT)
	case keys == nil:
		return nil, invalidKey("this receiver takes no encrypted SETs: it has no decryption key", jose.ErrUnknownKey)
	}
	signed, err := keys.Decrypt(message)
	switch {
	case errors.Is(err, jose.ErrUnknownKey):
		return nil, invalidKey("there is no decryption key of this kid", jose.ErrUnknownKey)
	case errors.Is(err, jose.ErrAlgorithm):
		return nil, invalidKey("the decryption key is for another algorithm", jose.ErrAlgorithm)
	case err != nil:
		return nil, invalidKey("the SET does not decrypt", jose.ErrDecryption)
	}
	return signed, nil
}

// isNested reports whether cty is that of a nested JWT (RFC 7519 §5.2), as media types
// compare.
func isNested(cty string) bool {
	return strings.EqualFold(cty, jose.ContentTypeJWT) || strings.EqualFold(cty, "application/"+jose.ContentTypeJWT)
}
