package main

import "github.com/tocsin-ssf/tocsin/transmitter/auth"

// certificateFlags say by which certificates a client authenticates (RFC 8705).
type certificateFlags struct {
	TLSSubjectDN  string `help:"Subject of the certificate that it authenticates with (mutual TLS; serve --client-ca), as RFC 4514 writes it: openssl x509 -noout -subject -nameopt RFC2253." name:"tls-subject-dn" placeholder:"DN" xor:"keys" group:"Certificate:"`
	TLSSANDNS     string `help:"A DNS name of that certificate instead." name:"tls-san-dns" placeholder:"NAME" xor:"keys" group:"Certificate:"`
	TLSSANURI     string `help:"A URI of it instead." name:"tls-san-uri" placeholder:"URI" xor:"keys" group:"Certificate:"`
	TLSSANIP      string `help:"An IP address of it instead." name:"tls-san-ip" placeholder:"IP" xor:"keys" group:"Certificate:"`
	TLSSANEmail   string `help:"An email address of it instead." name:"tls-san-email" placeholder:"ADDRESS" xor:"keys" group:"Certificate:"`
	TLSSelfSigned bool   `help:"It authenticates with a certificate that anybody signed: its key is one of --jwks or --jwks-uri." name:"tls-self-signed" group:"Certificate:"`
}

// certificate is what they say; nil: nothing.
func (f certificateFlags) certificate() *auth.Certificate {
	c := auth.Certificate{
		SubjectDN: f.TLSSubjectDN, SANDNS: f.TLSSANDNS, SANURI: f.TLSSANURI, SANIP: f.TLSSANIP, SANEmail: f.TLSSANEmail, SelfSigned: f.TLSSelfSigned,
	}
	if c == (auth.Certificate{}) {
		return nil
	}
	return &c
}
