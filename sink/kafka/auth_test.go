package kafka

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/gatehouse-project/gatehouse/sink/trust"
)

// identity is a certificate in files and in memory, good for 127.0.0.1 alone.
type identity struct {
	pair      tls.Certificate
	cert, key string // files
	pool      *x509.CertPool
}

func newIdentity(t *testing.T) *identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"broker.test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	i := &identity{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), pool: x509.NewCertPool()}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der8})
	for name, content := range map[string][]byte{i.cert: certPEM, i.key: keyPEM} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if i.pair, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	i.pool.AppendCertsFromPEM(certPEM)
	return i
}

const password = "pa55-of-the-sink"

func TestTLSAndSASL(t *testing.T) {
	t.Parallel()
	server, client, other := newIdentity(t), newIdentity(t), newIdentity(t)
	passwordFile := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(passwordFile, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	encrypted := &tls.Config{Certificates: []tls.Certificate{server.pair}, MinVersion: tls.VersionTLS12}
	mutual := encrypted.Clone()
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, client.pool
	user := func(method string) []kfake.Opt {
		return []kfake.Opt{kfake.EnableSASL(), kfake.Superuser(method, "gatehouse", password)}
	}
	auth := func(mechanism string) Auth {
		return Auth{Mechanism: mechanism, Username: "gatehouse", Password: password}
	}
	withTLS := func(a Auth) Auth { a.Files.CA = server.cert; return a }
	for name, tc := range map[string]struct {
		cluster []kfake.Opt
		auth    Auth
		mend    string // empty: works
	}{
		"tls":                         {[]kfake.Opt{kfake.TLS(encrypted)}, Auth{Files: trust.Files{CA: server.cert}}, ""},
		"tls, another name":           {[]kfake.Opt{kfake.TLS(encrypted)}, Auth{Files: trust.Files{CA: server.cert, ServerName: "broker.test"}}, ""},
		"tls, wrong name":             {[]kfake.Opt{kfake.TLS(encrypted)}, Auth{Files: trust.Files{CA: server.cert, ServerName: "other.test"}}, "server_name="},
		"tls, unknown authority":      {[]kfake.Opt{kfake.TLS(encrypted)}, Auth{TLS: true}, "ca_file="},
		"mutual tls":                  {[]kfake.Opt{kfake.TLS(mutual)}, Auth{Files: trust.Files{CA: server.cert, Cert: client.cert, Key: client.key}}, ""},
		"mutual tls, no certificate":  {[]kfake.Opt{kfake.TLS(mutual)}, Auth{Files: trust.Files{CA: server.cert}}, "cert_file="},
		"mutual tls, another client":  {[]kfake.Opt{kfake.TLS(mutual)}, Auth{Files: trust.Files{CA: server.cert, Cert: other.cert, Key: other.key}}, "cert_file="},
		"plain":                       {user("PLAIN"), auth("plain"), ""},
		"plain over tls":              {append(user("PLAIN"), kfake.TLS(encrypted)), withTLS(auth("plain")), ""},
		"scram-sha-256":               {user("SCRAM-SHA-256"), auth("scram-sha-256"), ""},
		"scram-sha-512 over tls":      {append(user("SCRAM-SHA-512"), kfake.TLS(encrypted)), withTLS(auth("scram-sha-512")), ""},
		"password of a file":          {user("SCRAM-SHA-256"), Auth{Mechanism: "scram-sha-256", Username: "gatehouse", PasswordFile: passwordFile}, ""},
		"wrong password":              {user("PLAIN"), Auth{Mechanism: "plain", Username: "gatehouse", Password: "wrong-" + password}, "password"},
		"mechanism that is not there": {user("PLAIN"), Auth{Mechanism: "scram-sha-512", Username: "gatehouse", Password: password}, "sasl="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster, err := kfake.NewCluster(append(tc.cluster, kfake.NumBrokers(1), kfake.SeedTopics(1, topic))...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			log := &lockedBuffer{}
			s, err := Open(t.Context(), Config{
				Brokers: cluster.ListenAddrs(), Topic: topic, Auth: tc.auth, DeliveryTimeout: 2 * time.Second,
				Logger: slog.New(slog.NewTextHandler(log, nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
				defer cancel()
				_ = s.Close(ctx)
			})
			batch, _ := calls(3)
			err = s.Deliver(t.Context(), batch)
			if tc.mend == "" {
				if err != nil {
					t.Fatal(err)
				}
				if n := cluster.PartitionInfos(topic)[0].HighWatermark; n != 3 {
					t.Errorf("%d records", n)
				}
				return
			}
			var failed *DeliveryError
			if !errors.As(err, &failed) || !strings.Contains(failed.Mend(), tc.mend) {
				t.Errorf("err = %v, want a mend that says %q", err, tc.mend)
			}
			if failed != nil && strings.Contains(failed.Mend()+err.Error()+log.String(), password) {
				t.Errorf("the password is in the error or the log: %v, %s", err, log)
			}
		})
	}
}

// Each connection asks for the AWS credentials anew, over TLS alone.
func TestMSKIAM(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	a := Auth{Mechanism: "aws-msk-iam", AWS: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		if asked.Add(1) == 3 {
			return aws.Credentials{}, errors.New("the session has ended")
		}
		return aws.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "secret-key", SessionToken: "session-token"}, nil
	})}
	encryption, err := a.tls()
	if err != nil || encryption == nil || encryption.MinVersion != tls.VersionTLS12 {
		t.Fatalf("TLS %v, %v", encryption, err)
	}
	mechanism, err := a.mechanism([]string{"b:9098"}, true)
	if err != nil || mechanism.Name() != "AWS_MSK_IAM" {
		t.Fatalf("mechanism %v, %v", mechanism, err)
	}
	for range 2 {
		_, first, err := mechanism.Authenticate(t.Context(), "b-1.watch.abc123.c2.kafka.eu-west-1.amazonaws.com:9098")
		if err != nil {
			t.Fatal(err)
		}
		var challenge map[string]string
		if err := json.Unmarshal(first, &challenge); err != nil {
			t.Fatal(err)
		}
		if challenge["action"] != "kafka-cluster:Connect" || challenge["user-agent"] != "gatehouse" || challenge["x-amz-security-token"] != "session-token" ||
			!strings.Contains(challenge["x-amz-credential"], "ASIAEXAMPLE/") || !strings.Contains(challenge["x-amz-credential"], "/eu-west-1/kafka-cluster/") {
			t.Errorf("challenge %v", challenge)
		}
		if bytes.Contains(first, []byte("secret-key")) {
			t.Error("the challenge has the secret key")
		}
	}
	if _, _, err := mechanism.Authenticate(t.Context(), "b-1.watch.abc123.c2.kafka.eu-west-1.amazonaws.com:9098"); err == nil || !strings.Contains(err.Error(), "the session has ended") {
		t.Errorf("err = %v", err)
	}
}
