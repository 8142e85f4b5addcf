package awssim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
)

// The algorithms that are taken. Anything with SHA-1 is not.
const (
	methodRSA     = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	methodECDSA   = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
	digestSHA256  = "http://www.w3.org/2001/04/xmlenc#sha256"
	transformSelf = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
)

var errSignatureXML = errors.New("the signature of the element is not one that can be verified")

// verifyElement checks the enveloped signature of an element: one reference, to
// the element itself by its ID, over exactly what the tree of the element holds,
// so that whoever reads the tree reads what was signed.
func verifyElement(e *element, certificates []*x509.Certificate) error {
	signature := e.only(nsSignature, "Signature")
	info := signature.only(nsSignature, "SignedInfo")
	reference := info.only(nsSignature, "Reference")
	if reference == nil || e.attr("ID") == "" || reference.attr("URI") != "#"+e.attr("ID") {
		return errSignatureXML
	}
	inclusive, ok := transforms(reference)
	if !ok {
		return errSignatureXML
	}
	if method := reference.only(nsSignature, "DigestMethod"); method == nil || method.attr("Algorithm") != digestSHA256 {
		return errSignatureXML
	}
	want, err := decodeBase64(reference.only(nsSignature, "DigestValue").text())
	if err != nil {
		return errSignatureXML
	}
	digest := sha256.Sum256(e.canonical(nil, signature, inclusive))
	if subtle.ConstantTimeCompare(want, digest[:]) != 1 {
		return errSignatureXML
	}
	method := info.only(nsSignature, "CanonicalizationMethod")
	if method == nil || method.attr("Algorithm") != nsExclusive {
		return errSignatureXML
	}
	value, err := decodeBase64(signature.only(nsSignature, "SignatureValue").text())
	algorithm := info.only(nsSignature, "SignatureMethod")
	if err != nil || algorithm == nil {
		return errSignatureXML
	}
	signed := sha256.Sum256(info.canonical(nil, nil, prefixList(method)))
	for _, c := range certificates {
		if verifyDigest(c.PublicKey, algorithm.attr("Algorithm"), signed[:], value) {
			return nil
		}
	}
	return errSignatureXML
}

// transforms checks that nothing but the signature itself is left out of what is
// signed.
func transforms(reference *element) (inclusive []string, ok bool) {
	list := reference.only(nsSignature, "Transforms")
	if list == nil {
		return nil, false
	}
	all := list.elements(nsSignature, "Transform")
	if len(all) != 2 || all[0].attr("Algorithm") != transformSelf || all[1].attr("Algorithm") != nsExclusive {
		return nil, false
	}
	return prefixList(all[1]), true
}

// prefixList reads InclusiveNamespaces.
func prefixList(method *element) []string {
	list := method.only(nsExclusive, "InclusiveNamespaces")
	if list == nil {
		return nil
	}
	prefixes := strings.Fields(list.attr("PrefixList"))
	for i, p := range prefixes {
		if p == "#default" {
			prefixes[i] = ""
		}
	}
	return prefixes
}

func verifyDigest(key any, algorithm string, digest, signature []byte) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return algorithm == methodRSA && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature) == nil
	case *ecdsa.PublicKey:
		n := len(signature) / 2
		if algorithm != methodECDSA || n == 0 || len(signature)%2 != 0 {
			return false
		}
		return ecdsa.Verify(key, digest, new(big.Int).SetBytes(signature[:n]), new(big.Int).SetBytes(signature[n:]))
	}
	return false
}

// decodeBase64 decodes text that may be broken into lines.
func decodeBase64(s string) ([]byte, error) {
	s = strings.Map(func(r rune) rune {
		if r == ' ' || r == '\n' || r == '\r' || r == '\t' {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return nil, errors.New("it is empty")
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}
