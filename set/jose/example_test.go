package jose_test

import (
	"fmt"
	"log"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

func Example() {
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := jose.NewSigner(key, "secevent+jwt")
	if err != nil {
		log.Fatal(err)
	}
	compact, err := signer.Sign([]byte(`{"jti":"1"}`))
	if err != nil {
		log.Fatal(err)
	}

	message, err := jose.Parse([]byte(compact))
	if err != nil {
		log.Fatal(err)
	}
	published := jose.NewKeySet(key.Public())
	public, err := published.Find(message.Header.KeyID, jose.RS256)
	if err != nil {
		log.Fatal(err)
	}
	if err := jose.Verify(message, public); err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(message.Payload))
	// Output: {"jti":"1"}
}
