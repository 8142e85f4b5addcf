package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// maxObject bounds what is read of an object of a bucket, in bytes.
const maxObject = 1 << 30

// S3 keeps objects in a bucket, as PREFIX/NAME. The version is the ETag, on which
// S3's conditional writes depend.
type S3 struct {
	client *s3.Client
	bucket string
	prefix string
}

var _ Objects = (*S3)(nil)

// NewS3 returns the objects of a bucket under a prefix, which may be empty.
func NewS3(client *s3.Client, bucket, prefix string) *S3 {
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return &S3{client, bucket, prefix}
}

// Load reads an object.
func (o *S3) Load(ctx context.Context, name string) ([]byte, string, error) {
	out, err := o.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &o.bucket, Key: aws.String(o.prefix + name)})
	if _, ok := errors.AsType[*types.NoSuchKey](err); ok {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("s3://%s/%s%s: %w", o.bucket, o.prefix, name, err)
	}
	data, err := io.ReadAll(io.LimitReader(out.Body, maxObject))
	if err = errors.Join(err, out.Body.Close()); err != nil {
		return nil, "", fmt.Errorf("s3://%s/%s%s: %w", o.bucket, o.prefix, name, err)
	}
	return data, aws.ToString(out.ETag), nil
}

// Save writes an object with If-Match, or If-None-Match where there is none yet.
func (o *S3) Save(ctx context.Context, name string, data []byte, ifVersion string) (string, error) {
	in := &s3.PutObjectInput{Bucket: &o.bucket, Key: aws.String(o.prefix + name), Body: bytes.NewReader(data)}
	if ifVersion == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = &ifVersion
	}
	out, err := o.client.PutObject(ctx, in)
	if isConflict(err) {
		return "", ErrConflict
	}
	if err != nil {
		return "", fmt.Errorf("s3://%s/%s%s: %w", o.bucket, o.prefix, name, err)
	}
	return aws.ToString(out.ETag), nil
}

// isConflict knows the answers to a condition that does not hold: 412; 409 where
// another write was under way; and 404 where the object to match was removed.
func isConflict(err error) bool {
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || response.Response == nil {
		return false
	}
	switch response.HTTPStatusCode() {
	case http.StatusPreconditionFailed, http.StatusConflict:
		return true
	case http.StatusNotFound:
		_, noBucket := errors.AsType[*types.NoSuchBucket](err)
		return !noBucket && !strings.Contains(err.Error(), "NoSuchBucket")
	default:
		return false
	}
}
