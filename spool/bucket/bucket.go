// Package bucket keeps the blobs of a spool in an S3 bucket, for a Lambda
// function that has no disk.
package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/gatehouse-project/gatehouse/spool"
)

// maxBlob bounds what is read of one object, in bytes.
const maxBlob = 256 << 20

// Bucket keeps blobs as objects under a prefix. S3 is consistent: what was put is
// there for every later reading and listing.
type Bucket struct {
	client *s3.Client
	name   string
	prefix string
}

var _ spool.Blobs = (*Bucket)(nil)

// New returns the blobs of a bucket under a prefix, which may be empty.
func New(client *s3.Client, name, prefix string) *Bucket {
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return &Bucket{client, name, prefix}
}

func (b *Bucket) failed(name string, err error) error {
	return fmt.Errorf("s3://%s/%s%s: %w", b.name, b.prefix, name, err)
}

// Put writes an object.
func (b *Bucket) Put(ctx context.Context, name string, data []byte) error {
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.name, Key: aws.String(b.prefix + name), Body: bytes.NewReader(data),
	})
	if err != nil {
		return b.failed(name, err)
	}
	return nil
}

// Get reads an object; the error is fs.ErrNotExist if there is none.
func (b *Bucket) Get(ctx context.Context, name string) ([]byte, error) {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + name)})
	if _, ok := errors.AsType[*types.NoSuchKey](err); ok {
		return nil, b.failed(name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, b.failed(name, err)
	}
	data, err := io.ReadAll(io.LimitReader(out.Body, maxBlob))
	if err = errors.Join(err, out.Body.Close()); err != nil {
		return nil, b.failed(name, err)
	}
	return data, nil
}

// List lists the objects whose names begin with prefix; S3 gives them in order.
func (b *Bucket) List(ctx context.Context, prefix string) ([]spool.Blob, error) {
	var blobs []spool.Blob
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{
		Bucket: &b.name, Prefix: aws.String(b.prefix + prefix),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, b.failed(prefix, err)
		}
		for i := range page.Contents {
			o := &page.Contents[i]
			blobs = append(blobs, spool.Blob{Name: strings.TrimPrefix(aws.ToString(o.Key), b.prefix), Size: aws.ToInt64(o.Size)})
		}
	}
	return blobs, nil
}

// Delete removes an object; S3 does not mind if there is none.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if _, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + name)}); err != nil {
		return b.failed(name, err)
	}
	return nil
}
