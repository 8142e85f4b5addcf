package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/twmb/franz-go/pkg/sasl"
	msk "github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/gatehouse-project/gatehouse/sink/trust"
)

// Auth says how the brokers are known and how the sink proves itself to them.
type Auth struct {
	// TLS encrypts; Files that are named do so by themselves.
	TLS   bool
	Files trust.Files
	// Mechanism is empty, plain, scram-sha-256, scram-sha-512 or aws-msk-iam.
	Mechanism string
	// Username, and Password or PasswordFile, are for plain and scram. The file
	// is read for each connection, so that a password can be changed while
	// Gatehouse runs.
	Username     string
	Password     string
	PasswordFile string
	// AWS gives the credentials for aws-msk-iam; asked for each connection.
	AWS aws.CredentialsProvider
	// Plaintext allows a password to go over a connection that is not encrypted.
	Plaintext bool
}

// mechanisms are the values of Auth.Mechanism.
var mechanisms = []string{"plain", "scram-sha-256", "scram-sha-512", "aws-msk-iam"}

// tls gives the TLS settings, or nil for none.
func (a *Auth) tls() (*tls.Config, error) {
	if !a.TLS && a.Files.IsZero() && a.Mechanism != "aws-msk-iam" {
		return nil, nil //nolint:nilnil // plain text is a choice, not a failure
	}
	return a.Files.Config()
}

// check reports what of a does not go together, without asking for anything.
func (a *Auth) check() error {
	switch {
	case a.Mechanism == "":
		if a.Username != "" || a.PasswordFile != "" {
			return errors.New("username and password_file need sasl=")
		}
	case !slices.Contains(mechanisms, a.Mechanism):
		return fmt.Errorf("sasl is %q: choose plain, scram-sha-256, scram-sha-512 or aws-msk-iam", a.Mechanism)
	case a.Mechanism == "aws-msk-iam" && (a.Username != "" || a.PasswordFile != ""):
		return errors.New("sasl=aws-msk-iam takes Gatehouse's own AWS credentials: leave out username and password_file")
	}
	return nil
}

// mechanism gives the SASL mechanism, or nil for none.
func (a *Auth) mechanism(brokers []string, encrypted bool) (sasl.Mechanism, error) {
	switch a.Mechanism {
	case "":
		return nil, nil //nolint:nilnil // no SASL is a choice, not a failure
	case "aws-msk-iam":
		if a.AWS == nil {
			return nil, errors.New("sasl=aws-msk-iam needs AWS credentials")
		}
		return msk.ManagedStreamingIAM(a.mskIAM), nil
	}
	if a.Username == "" || a.Password == "" && a.PasswordFile == "" {
		return nil, errors.New("sasl needs a user and a password: username= and password_file= in the URL, or kafka_username and kafka_password in the settings")
	}
	if _, err := a.password(); err != nil {
		return nil, err
	}
	if a.Mechanism == "plain" && !encrypted && !a.Plaintext && !slices.ContainsFunc(brokers, isLoopback) {
		return nil, errors.New("sasl=plain sends the password as it is and the connection is not encrypted: add tls=true, or plaintext=true if the way to the brokers is safe")
	}
	switch a.Mechanism {
	case "plain":
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			password, err := a.password()
			return plain.Auth{User: a.Username, Pass: password}, err
		}), nil
	case "scram-sha-256":
		return scram.Sha256(a.scram), nil
	default:
		return scram.Sha512(a.scram), nil
	}
}

func (a *Auth) scram(context.Context) (scram.Auth, error) {
	password, err := a.password()
	return scram.Auth{User: a.Username, Pass: password}, err
}

// mskIAM is asked for each connection: the provider renews what it gives.
func (a *Auth) mskIAM(ctx context.Context) (msk.Auth, error) {
	c, err := a.AWS.Retrieve(ctx)
	if err != nil {
		return msk.Auth{}, fmt.Errorf("getting AWS credentials for the brokers: %w", err)
	}
	return msk.Auth{AccessKey: c.AccessKeyID, SecretKey: c.SecretAccessKey, SessionToken: c.SessionToken, UserAgent: "gatehouse"}, nil
}

func (a *Auth) password() (string, error) {
	if a.PasswordFile == "" {
		return a.Password, nil
	}
	content, err := os.ReadFile(a.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("reading password_file: %w", err)
	}
	password := strings.TrimRight(string(content), "\r\n")
	if password == "" {
		return "", fmt.Errorf("password_file %s is empty", a.PasswordFile)
	}
	return password, nil
}

func isLoopback(broker string) bool {
	host, _, err := net.SplitHostPort(broker)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
