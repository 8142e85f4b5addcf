package demo

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/gateway"
	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// sessions finds the sessions that a simulated AWS has given out.
type sessions struct{ sim *awssim.Sim }

// Lookup returns who has the key.
func (s sessions) Lookup(id string) (*gateway.Principal, error) {
	c, ok := s.sim.Caller(id)
	if !ok {
		return nil, nil
	}
	who, err := iam.ParsePrincipal(c.Principal.ARN)
	if err != nil {
		return nil, err
	}
	return &gateway.Principal{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expires: c.Expires,
		Principal: who, UserID: c.Principal.ID, Policies: c.Policies, Context: c.Context,
	}, nil
}

// stand is the demo's world as a test has it.
type stand struct {
	*testing.T
	world    *World
	traffic  *Traffic
	endpoint string
}

func setup(t *testing.T, rate float64) *stand {
	t.Helper()
	w := NewWorld(awssim.New(awssim.Options{Seed: 1}))
	server, err := w.Sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	traffic, err := w.NewTraffic(TrafficOptions{Endpoint: server.URL(), Credentials: sessions{w.Sim}, Rate: rate, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return &stand{t, w, traffic, server.URL()}
}

// messages are the log events of a group, read over the wire as Gatehouse's own
// role, and in the order of their time.
func (s *stand) messages(a *gateway.API, group string) []transaction.Event {
	s.Helper()
	c := s.world.Sim.Account(a.Account).Session(CollectorRole, "test", time.Hour)
	client := cloudwatchlogs.NewFromConfig(aws.Config{
		Region: a.Region, BaseEndpoint: &s.endpoint,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken),
	})
	var out []transaction.Event
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(client, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		for i := range page.Events {
			e := &page.Events[i]
			out = append(out, transaction.Event{Timestamp: *e.Timestamp, Message: *e.Message, ID: *e.EventId, Stream: *e.LogStreamName})
		}
	}
	return out
}

// transactions are all calls, as the logs of all stages tell them.
func (s *stand) transactions() []*transaction.Transaction {
	s.Helper()
	assembler := transaction.NewAssembler(transaction.Options{Grace: 2 * time.Second, Idle: time.Minute})
	for i := range s.world.apis {
		a := &s.world.apis[i]
		logs := s.world.Sim.Account(a.Account).Region(a.Region).Logs()
		for j := range a.Stages {
			st := &a.Stages[j]
			group := transaction.Group{Account: a.Account, Region: a.Region, APIID: a.ID, APIType: transaction.APIType(a.Type), Stage: st.Name}
			names := []string{"API-Gateway-Execution-Logs_" + a.ID + "/" + st.Name, "/aws/apigateway/" + a.ID + "/" + st.Name}
			if st.AccessLog != nil {
				names = append(names, st.AccessLog.Group)
			}
			for _, name := range names {
				if !slices.Contains(logs.Groups(), name) {
					continue
				}
				group.Name, group.AccessFormat = name, ""
				if st.AccessLog != nil && name == st.AccessLog.Group {
					group.AccessFormat = st.AccessLog.Format
				}
				feed := assembler.Feed(group)
				for _, e := range s.messages(a, name) {
					if d := feed.Add(&e); d.Outcome != transaction.Held {
						s.Errorf("%s: %s: %s", name, d, e.Message)
					}
				}
			}
		}
	}
	assembler.Flush()
	var out []*transaction.Transaction
	for _, c := range assembler.Take(nil) {
		out = append(out, c.Transaction)
	}
	return out
}

// What the control plane says of the APIs is what the gateway serves: routes, who
// may call them, stages and their logs.
func TestTheEstateIsWhatIsServed(t *testing.T) {
	t.Parallel()
	w := NewWorld(awssim.New(awssim.Options{Seed: 1}))
	for i := range w.apis {
		a := &w.apis[i]
		if len(a.Routes) == 0 || len(a.Stages) == 0 {
			t.Errorf("%s has no routes or no stages", a.Name)
		}
		for j := range a.Routes {
			r := &a.Routes[j]
			got := integrationOf(a, r)
			switch {
			case got.Type != r.Integration.Type || got.Timeout != r.Integration.Timeout:
				t.Errorf("%s %s: %+v of %+v", a.Name, r.Path, got, r.Integration)
			case got.Type == "HTTP_PROXY" && got.URI != r.Integration.URI:
				t.Errorf("%s %s: %s", a.Name, r.Path, got.URI)
			case got.Type == "AWS_PROXY" && !strings.Contains(got.URI, "arn:aws:lambda:"+a.Region+":"+a.Account+":function:"):
				t.Errorf("%s %s: %s names no function", a.Name, r.Path, got.URI)
			}
		}
	}
	if _, err := gateway.New(&gateway.Config{APIs: w.apis, UsagePlans: usagePlans()}, gateway.Options{}); err != nil {
		t.Error(err)
	}
}
