package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func TestSinkURLs(t *testing.T) {
	t.Parallel()
	client := config.HTTPS{TokenURL: "https://auth.example/token", ClientID: "i", ClientSecret: "very-secret"}
	for name, tc := range map[string]struct {
		sinks []string
		https config.HTTPS
		kafka config.Kafka
		want  string // a name, or what the error says
		fails bool
	}{
		"file":               {sinks: []string{"file:" + t.TempDir()}, want: "file"},
		"stdout":             {sinks: []string{"stdout:"}, want: "stdout"},
		"kafka":              {sinks: []string{"kafka://b/t"}, want: "kafka://b:9092/t"},
		"kafka, user":        {sinks: []string{"kafka://b/t?sasl=scram-sha-512"}, kafka: config.Kafka{Username: "u", Password: "p"}, want: "kafka://b:9092/t"},
		"kafka, no user":     {sinks: []string{"kafka://b/t?sasl=scram-sha-512"}, want: "kafka_username", fails: true},
		"https":              {sinks: []string{"https://edge.example/in?format=cequence"}, want: "https://edge.example/in"},
		"https, token":       {sinks: []string{"https://edge.example/in"}, https: client, want: "https://edge.example/in"},
		"https, no client":   {sinks: []string{"https://edge.example/in?auth=oauth2"}, want: "https_client_secret", fails: true},
		"two hosts":          {sinks: []string{"https://edge.example/in?auth=oauth2", "https://other.example/"}, https: client, want: "other.example", fails: true},
		"two hosts, said":    {sinks: []string{"https://edge.example/in?auth=oauth2", "https://other.example/?auth=none"}, https: client, want: "https://edge.example/in"},
		"http elsewhere":     {sinks: []string{"http://edge.example/in"}, want: "not encrypted", fails: true},
		"otlp":               {sinks: []string{"otlp://127.0.0.1"}, want: "http://127.0.0.1:4318/v1/logs"},
		"otlps":              {sinks: []string{"otlps://collector.example"}, want: "https://collector.example:4318/v1/logs"},
		"unknown":            {sinks: []string{"s3://bucket"}, want: "there is no s3 sink", fails: true},
		"no scheme":          {sinks: []string{"somewhere"}, want: "has no scheme", fails: true},
		"a secret in a URL":  {sinks: []string{"https://u:very-secret@edge.example/"}, want: "no credentials", fails: true},
		"a secret as option": {sinks: []string{"https://edge.example/?key=very-secret"}, want: "unknown", fails: true},
	} {
		c := config.Default()
		c.Sinks, c.HTTPS, c.Kafka = tc.sinks, tc.https, tc.kafka
		sinks, err := openSinks(t.Context(), sinkOptions{config: c, out: &bytes.Buffer{}, log: slog.New(slog.DiscardHandler)})
		if tc.fails {
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "very-secret") {
				t.Errorf("%s: err = %v, want one that says %q", name, err, tc.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := sinks[0].Name(); !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s: name %q, want %q", name, got, tc.want)
		}
		if err := closeSinks(t.Context(), sinks); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The sinks' boxes carry the sinks' names, which is how a replay finds its sink.
func TestDeadLettersKnowTheirSink(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
	}))
	t.Cleanup(refusing.Close)
	s, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c := config.Default()
	c.Sinks = []string{refusing.URL + "/in", strings.Replace(refusing.URL, "http:", "otlp:", 1)}
	k, err := newKeeper(c, s, deadletter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sinks, err := openSinks(t.Context(), sinkOptions{config: c, letters: k, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeSinks(context.Background(), sinks) })
	for _, sink := range sinks {
		if err := sink.Deliver(t.Context(), []*transaction.Transaction{{ID: "a"}, {ID: "b"}}); err != nil {
			t.Fatal(err)
		}
	}
	counts, err := k.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	known := fmt.Sprint(k.Sinks())
	if len(counts) != 2 {
		t.Fatalf("dead letters of %+v, want of both sinks", counts)
	}
	for _, n := range counts {
		if n.Letters != 2 || !strings.Contains(known, n.Sink) {
			t.Errorf("%d letters of %s, known sinks %s", n.Letters, n.Sink, known)
		}
	}
}

// While another process collects, the command waits for it and says so.
func TestReplayIsLeftToTheCollector(t *testing.T) {
	t.Parallel()
	state := "sqlite:" + t.TempDir() + "/state.db"
	s, err := sqlite.Open(t.Context(), state, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.AcquireLease(t.Context(), collectorLease, "elsewhere/1/x", time.Minute); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.State = state
	k, err := newKeeper(c, s, deadletter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Box("a").Put(t.Context(), []deadletter.Refusal{{Transaction: &transaction.Transaction{ID: "t"}, Reason: deadletter.Refused}}); err != nil {
		t.Fatal(err)
	}
	r, err := (&runtime{}).ReplayDeadLetters(t.Context(), c, []string{"1", "77"}, cli.ReplayOptions{Wait: 300 * time.Millisecond})
	if err != nil || r != (cli.ReplayResult{Waiting: 1, Collector: true}) {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := (&runtime{}).ReplayDeadLetters(t.Context(), c, []string{"x"}, cli.ReplayOptions{Wait: time.Second}); !errors.Is(err, deadletter.ErrInvalidQuery) {
		t.Errorf("an id that is none: %v", err)
	}
}

func TestAccessLogGroupsAreReadEverywhere(t *testing.T) {
	t.Parallel()
	k := &estateKeeper{}
	k.know(nil)
	if got := k.accessLogGroups([]string{"g"}, nil); got != nil {
		t.Errorf("groups of no estate: %v", got)
	}
	k.know(&estate.Snapshot{Accounts: []estate.Account{
		{ID: "111122223333", Regions: []estate.Region{{Name: "eu-west-1"}, {Name: "us-east-1"}}},
		{ID: "444455556666", Regions: []estate.Region{{Name: "eu-west-1"}}},
	}})
	stage := transaction.Group{Account: "444455556666", Region: "eu-west-1", Name: "g", APIID: "api1", APIType: transaction.REST}
	got := k.accessLogGroups([]string{"g"}, []transaction.Group{stage})
	if len(got) != 3 || got[0] != stage || got[1].APIType != transaction.HTTP || got[2].Region != "us-east-1" {
		t.Errorf("groups %+v", got)
	}
}
