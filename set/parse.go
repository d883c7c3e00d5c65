package set

import (
	"errors"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// Parse reads a SET without verifying anything, to show it: never act on what
// it returns. It wants what RFC 8417 §2.2 requires (iss, iat, jti, events) and
// reads the forms of claims and subjects that [Tolerances] name; typ, aud and sub_id
// may be absent, the signature empty. Errors are [*Error]; the token is then nil.
func Parse(compact []byte) (*Token, error) {
	message, err := parseMessage(new(jose.Parser), compact)
	if err != nil {
		return nil, err
	}
	token := newToken(message)
	c := new(claims)
	c.reset(token, message.Payload, Tolerances{
		SubjectInEvent: true, SubjectDuplicated: true, SubjectTypeAlias: true, ComplexWithoutFormat: true, FormerFormatNames: true,
		NullMembers: true, TxnNumber: true,
	})
	c.shown = true
	if err := c.read(); err != nil {
		return nil, err
	}
	return token, nil
}

func newToken(message *jose.Message) *Token {
	return &Token{Header: message.Header, compact: message.Compact(), claims: message.Payload}
}

// parseMessage takes a SET apart; what is not a JWS is an invalid request.
func parseMessage(parser *jose.Parser, compact []byte) (*jose.Message, error) {
	message, err := parser.Parse(compact)
	if errors.Is(err, jose.ErrTooLarge) {
		return nil, &Error{Code: delivery.CodeInvalidRequest, Description: "the SET is too large", Err: err}
	}
	if err != nil {
		return nil, &Error{Code: delivery.CodeInvalidRequest, Description: "the SET is not a compact JWS", Err: err}
	}
	return message, nil
}
