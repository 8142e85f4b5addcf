package app

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/object"
	"github.com/gatehouse-project/gatehouse/store/postgres"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

// engines are the stores by the scheme of their URL.
var engines = map[string]store.Opener{
	"sqlite":     sqlite.Opener,
	"postgres":   postgres.Opener,
	"postgresql": postgres.Opener,
	"s3": func(ctx context.Context, url string, opts store.Options) (store.Store, error) {
		name, prefix, err := bucketOf(url)
		if err != nil {
			return nil, err
		}
		client, err := s3Client(ctx)
		if err != nil {
			return nil, err
		}
		return object.New(object.NewS3(client, name, prefix), opts), nil
	},
	"dynamodb": func(ctx context.Context, url string, opts store.Options) (store.Store, error) {
		table, key, _ := strings.Cut(strings.TrimPrefix(url, "dynamodb://"), "/")
		if table == "" || key == "" {
			return nil, fmt.Errorf("store %q is not of the form dynamodb://TABLE/KEY", url)
		}
		c, err := ownConfig(ctx)
		if err != nil {
			return nil, err
		}
		return object.New(object.NewDynamoDB(dynamodb.NewFromConfig(c), table, key), opts), nil
	},
	"file": func(_ context.Context, url string, opts store.Options) (store.Store, error) {
		path := strings.TrimPrefix(strings.TrimPrefix(url, "file:"), "//")
		if path == "" {
			return nil, fmt.Errorf("store %q is not of the form file:DIR", url)
		}
		folder, err := object.OpenFolder(path)
		if err != nil {
			return nil, err
		}
		return object.New(folder, opts), nil
	},
}

// bucketOf takes s3://BUCKET/PREFIX apart.
func bucketOf(url string) (bucket, prefix string, err error) {
	bucket, prefix, _ = strings.Cut(strings.TrimPrefix(url, "s3://"), "/")
	if bucket == "" || !strings.HasPrefix(url, "s3://") {
		return "", "", fmt.Errorf("%q is not of the form s3://BUCKET/PREFIX", url)
	}
	return bucket, prefix, nil
}

// ownConfig is for the state and the spool: with the credentials of this process,
// not those of a role that reads logs.
func ownConfig(ctx context.Context) (aws.Config, error) {
	c, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithLogger(logging.Nop{}))
	if err != nil {
		return c, fmt.Errorf("preparing AWS credentials for the state: %w", err)
	}
	c.HTTPClient = account.Connections(c.HTTPClient)
	return c, nil
}

// s3Client is the client of the state's and the spool's buckets. Another endpoint
// than AWS's is addressed by path, as stores that look like S3 are.
func s3Client(ctx context.Context) (*s3.Client, error) {
	c, err := ownConfig(ctx)
	if err != nil {
		return nil, err
	}
	path := c.BaseEndpoint != nil || os.Getenv("AWS_ENDPOINT_URL_S3") != ""
	return s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = path }), nil
}

// commitInterval is how often the collector saves; zero: its own default. Each
// save writes a state of objects as a whole, and is paid for.
func (p *product) commitInterval() time.Duration {
	switch store.Scheme(p.config.State) {
	case "s3", "dynamodb":
		return 10 * time.Second
	default:
		return 0
	}
}
