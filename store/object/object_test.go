package object_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/object"
	"github.com/gatehouse-project/gatehouse/store/object/objecttest"
	"github.com/gatehouse-project/gatehouse/store/storetest"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func awsConfig(url string) aws.Config {
	return aws.Config{
		Region: "eu-west-1", BaseEndpoint: &url,
		Credentials: credentials.NewStaticCredentialsProvider("ASIAEXAMPLE", "secret", "token"),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 5 * time.Millisecond })
		},
	}
}

func s3Objects(url string) object.Objects {
	return object.NewS3(s3.NewFromConfig(awsConfig(url), func(o *s3.Options) { o.UsePathStyle = true }), "bucket", "state/")
}

func dynamoObjects(url string) object.Objects {
	return object.NewDynamoDB(dynamodb.NewFromConfig(awsConfig(url)), "table", "gatehouse")
}

// kinds are all stores of objects.
var kinds = map[string]func(t *testing.T) object.Objects{
	"S3": func(t *testing.T) object.Objects {
		t.Helper()
		return s3Objects(objecttest.NewS3(t).URL)
	},
	"DynamoDB": func(t *testing.T) object.Objects {
		t.Helper()
		return dynamoObjects(objecttest.NewDynamoDB(t).URL)
	},
	"Folder": func(t *testing.T) object.Objects {
		t.Helper()
		f, err := object.OpenFolder(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return f
	},
}

func TestStore(t *testing.T) {
	t.Parallel()
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.ExerciseCollecting(t, func(t *testing.T) storetest.Place {
				t.Helper()
				objects := open(t)
				return func(o store.Options) (store.Store, error) { return object.New(objects, o), nil }
			})
		})
	}
}

// Only one of those who have read the same version may write.
func TestSaveIsConditional(t *testing.T) {
	t.Parallel()
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := open(t)
			version := ""
			for round := range 5 {
				var wg sync.WaitGroup
				var mu sync.Mutex
				won := 0
				next := ""
				for n := range 8 {
					wg.Go(func() {
						v, err := o.Save(t.Context(), "x", []byte(strings.Repeat("v", round*10+n+1)), version)
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							won++
							next = v
						} else if !errors.Is(err, object.ErrConflict) {
							t.Errorf("Save: %v", err)
						}
					})
				}
				wg.Wait()
				if won != 1 {
					t.Fatalf("round %d: %d of 8 writers won", round, won)
				}
				_, got, err := o.Load(t.Context(), "x")
				if err != nil || got != next {
					t.Fatalf("round %d: version %q, %v; the winner got %q", round, got, err, next)
				}
				version = next
			}
			if _, err := o.Save(t.Context(), "x", []byte("late"), ""); !errors.Is(err, object.ErrConflict) {
				t.Errorf("creating what exists: %v", err)
			}
		})
	}
}

func checkpoint(fast int64) *collect.Checkpoint {
	return &collect.Checkpoint{Groups: []collect.GroupCheckpoint{{Group: transaction.Group{Account: "1", Region: "r", Name: "g"}, Fast: fast}}}
}

// Of two collectors on one state the one that was overtaken fails, says so, and
// changes nothing.
func TestTheOvertakenCollectorFails(t *testing.T) {
	t.Parallel()
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := open(t)
			a, b := object.New(objects, store.Options{}), object.New(objects, store.Options{})
			for _, s := range []*object.Store{a, b} {
				if _, err := s.LoadCheckpoint(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Commit(t.Context(), checkpoint(5)); err != nil {
				t.Fatal(err)
			}
			err := b.Commit(t.Context(), checkpoint(3))
			var mender interface{ Mend() string }
			if !errors.Is(err, object.ErrConflict) || !errors.As(err, &mender) {
				t.Fatalf("the second collector: %v; want ErrConflict with a hint", err)
			}
			c, err := a.LoadCheckpoint(t.Context())
			if err != nil || c.Groups[0].Fast != 5 {
				t.Errorf("checkpoint: %+v, %v", c, err)
			}
		})
	}
}

// A write that was done although its answer was lost is no conflict, whether the
// SDK repeats it or the collector does.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	type losing interface{ LoseAnswers(n int) }
	s3Server, dynamo := objecttest.NewS3(t), objecttest.NewDynamoDB(t)
	for name, world := range map[string]struct {
		server  losing
		objects object.Objects
	}{"S3": {s3Server, s3Objects(s3Server.URL)}, "DynamoDB": {dynamo, dynamoObjects(dynamo.URL)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := object.New(world.objects, store.Options{})
			for fast := int64(1); fast <= 3; fast++ {
				world.server.LoseAnswers(1)
				if err := s.Commit(t.Context(), checkpoint(fast)); err != nil {
					t.Fatalf("commit %d: %v", fast, err)
				}
			}
			// So many that the SDK gives up; the collector then commits more.
			world.server.LoseAnswers(3)
			if err := s.Commit(t.Context(), checkpoint(4)); err == nil {
				t.Log("the SDK tried more often than answers were lost")
			}
			world.server.LoseAnswers(0)
			if err := s.Commit(t.Context(), checkpoint(5)); err != nil {
				t.Fatalf("commit after a failed one: %v", err)
			}
			if c, err := s.LoadCheckpoint(t.Context()); err != nil || c.Groups[0].Fast != 5 {
				t.Errorf("checkpoint: %+v, %v", c, err)
			}
		})
	}
}

// Parts of replaced objects do not stay behind.
func TestDynamoDBRemovesOldParts(t *testing.T) {
	t.Parallel()
	server := objecttest.NewDynamoDB(t)
	o := dynamoObjects(server.URL)
	version := ""
	for n := range 3 {
		data := make([]byte, 1_000_000)
		data[0] = byte(n)
		var err error
		if version, err = o.Save(t.Context(), "x", data, version); err != nil {
			t.Fatal(err)
		}
		got, v, err := o.Load(t.Context(), "x")
		if err != nil || v != version || len(got) != len(data) || got[0] != byte(n) {
			t.Fatalf("Load: %d bytes, %q, %v", len(got), v, err)
		}
	}
	if n := server.Items(); n != 4 {
		t.Errorf("%d items for one object of three parts", n)
	}
}

func TestDamagedAndForeignState(t *testing.T) {
	t.Parallel()
	objects := kinds["Folder"](t)
	s := object.New(objects, store.Options{})
	if err := s.Commit(t.Context(), checkpoint(1)); err != nil {
		t.Fatal(err)
	}
	good, version, err := objects.Load(t.Context(), "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	broken := append([]byte(nil), good...)
	broken[len(broken)-1] ^= 1
	for _, c := range []struct {
		data []byte
		want error
	}{
		{broken, store.ErrCorrupted},
		{good[:10], store.ErrCorrupted},
		{[]byte("hello"), store.ErrForeign},
		{[]byte("GHSTATE2…"), store.ErrNewer},
	} {
		if version, err = objects.Save(t.Context(), "checkpoint", c.data, version); err != nil {
			t.Fatal(err)
		}
		if _, err := s.LoadCheckpoint(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("loading %q: %v; want %v", c.data[:5], err, c.want)
		}
	}
	if _, err := s.InventorySequence(context.Background()); err == nil || !strings.Contains(err.Error(), "no inventory") {
		t.Errorf("an inventory on a state of objects: %v", err)
	}
}

// Two containers that start at the same moment: one collects.
func TestLeaseRace(t *testing.T) {
	t.Parallel()
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := open(t)
			var wg sync.WaitGroup
			var mu sync.Mutex
			got := 0
			for n := range 6 {
				wg.Go(func() {
					err := object.New(objects, store.Options{}).AcquireLease(t.Context(), "collector", string(rune('a'+n)), time.Minute)
					_, held := errors.AsType[*store.HeldError](err)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						got++
					} else if !held {
						t.Errorf("AcquireLease: %v", err)
					}
				})
			}
			wg.Wait()
			if got != 1 {
				t.Errorf("%d of 6 have the lease", got)
			}
		})
	}
}
