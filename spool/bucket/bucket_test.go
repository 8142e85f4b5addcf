package bucket_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/gatehouse-project/gatehouse/spool"
	"github.com/gatehouse-project/gatehouse/spool/bucket"
	"github.com/gatehouse-project/gatehouse/store/object/objecttest"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func open(url string) *bucket.Bucket {
	return bucket.New(s3.NewFromConfig(aws.Config{
		Region: "eu-west-1", BaseEndpoint: &url,
		Credentials: credentials.NewStaticCredentialsProvider("ASIAEXAMPLE", "secret", "token"),
	}, func(o *s3.Options) { o.UsePathStyle = true }), "bucket", "/spool/")
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	server := objecttest.NewS3(t)
	b := open(server.URL)
	ctx := t.Context()
	if _, err := b.Get(ctx, "events/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of nothing: %v", err)
	}
	if err := b.Delete(ctx, "events/none"); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
	const many = 20 // several pages of a listing
	for n := range many {
		if err := b.Put(ctx, fmt.Sprintf("events/%02d", n), []byte{byte(n)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Put(ctx, "groups/x", nil); err != nil {
		t.Fatal(err)
	}
	blobs, err := b.List(ctx, "events/")
	if err != nil || len(blobs) != many || blobs[0] != (spool.Blob{Name: "events/00", Size: 1}) {
		t.Fatalf("List: %v, %v", blobs, err)
	}
	if err := b.Delete(ctx, "events/03"); err != nil {
		t.Fatal(err)
	}
	if data, err := b.Get(ctx, "events/04"); err != nil || data[0] != 4 {
		t.Errorf("Get: %v, %v", data, err)
	}
	if keys := server.Keys("bucket", "spool/events/"); len(keys) != many-1 {
		t.Errorf("%d objects under the prefix", len(keys))
	}
}

// What one process writes another one finds, each time it looks for groups.
func TestSharedSpool(t *testing.T) {
	t.Parallel()
	server := objecttest.NewS3(t)
	writer, err := spool.Open(t.Context(), open(server.URL), spool.Config{Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := spool.Open(t.Context(), open(server.URL), spool.Config{Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	g := transaction.Group{Account: "111122223333", Region: "eu-west-1", Name: "API-Gateway-Execution-Logs_a/prod"}
	from := time.Now().UnixMilli()
	err = writer.Append(t.Context(), spool.Batch{Group: g, Events: []transaction.Event{{ID: "1", Timestamp: 7, Message: "m"}}})
	if err != nil {
		t.Fatal(err)
	}
	found, problems := reader.Find(t.Context())
	if len(found) != 1 || found[0].Group != g || len(problems) > 0 {
		t.Fatalf("Find: %v, %v", found, problems)
	}
	page, err := reader.Read(t.Context(), g, from, from+60_000, "")
	if err != nil || len(page.Events) != 1 || page.Events[0].Logged != 7 {
		t.Errorf("Read: %+v, %v", page, err)
	}
	server.SetDown(true)
	if _, problems := reader.Find(t.Context()); len(problems) != 1 || problems[0].Mend == "" {
		t.Errorf("Find while S3 is down: %v", problems)
	}
}
