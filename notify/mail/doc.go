// Package mail sends notices by e-mail, over SMTP with TLS.
//
// An e-mail carries links to pages and nothing that decides by being opened:
// scanners and previews open every link of a message.
package mail
