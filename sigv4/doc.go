// Package sigv4 signs HTTP requests with AWS Signature Version 4 and verifies
// them: AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256 (SigV4a), in the
// Authorization header and in the query string (presigned URLs), with session
// tokens. One canonicaliser serves all of it.
//
//	signer := sigv4.Signer{Credentials: c, Region: "eu-west-1", Service: "execute-api"}
//	_, err := signer.Sign(request, now)
//
//	verifier := &sigv4.Verifier{Lookup: lookup, Region: "eu-west-1", Service: "execute-api"}
//	caller, err := verifier.Verify(request, now)
//
// The package does no I/O but to read the body of the request that it is given,
// and asks no clock. A refusal is an *Error with the code and the text that AWS
// answers; every other error is a fault of the caller's own, and never allows.
//
// # What is signed
//
// The path as it is on the wire: of a request that a server received, what its
// request line said (RequestURI); of one that is to be sent, what net/http will
// send. Services other than S3 encode that path once more. With normalisation,
// which the reference suite asks of all services but S3 and which clients such as
// aws-sdk-go-v2 leave out, dot segments are resolved and empty ones dropped
// first; a Verifier takes either, unless its Rules say otherwise.
//
// In a query string "+" is a space, as it is for those who parse it behind the
// signature. Header values have runs of white space, line folds too, collapsed to
// one space, and values of one name joined with commas in the order they came.
package sigv4
