package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/doctor"
)

// examined answers doctor with a report.
type examined struct {
	report *doctor.Report
	asked  *config.Config
}

func (e *examined) Doctor(_ context.Context, c *config.Config, progress func(doctor.Progress)) *doctor.Report {
	e.asked = c
	progress(doctor.Progress{Total: 2})
	progress(doctor.Progress{Done: 2, Total: 2, Note: "credentials"})
	return e.report
}

func runDoctor(t *testing.T, rt doctorRuntime, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	s := Streams{In: strings.NewReader(""), Out: &out, Err: &errs}
	cmd := newDoctor(rt, &s)
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func sickReport() *doctor.Report {
	denied := func(account, region string) doctor.Result {
		return doctor.Result{
			Status: doctor.Fail, Check: "logs:FilterLogEvents", Account: account, Region: region, Subject: "API-Gateway-Execution-Logs_a/prod",
			What: "the log group cannot be read", Why: "AccessDeniedException: no", Mend: "add the statement to arn:aws:iam::" + account + ":role/Collector",
			Statement: `{"Effect":"Allow","Action":"logs:FilterLogEvents","Resource":"arn:aws:logs:*:` + account + `:log-group:API-Gateway-Execution-Logs*"}`,
		}
	}
	return &doctor.Report{
		Results: []doctor.Result{
			{Status: doctor.OK, Check: "settings", What: "can be used"},
			{Status: doctor.Warn, Check: "base credentials", Subject: "arn:aws:sts::111111111111:assumed-role/Base/x", What: "they end soon", Mend: "renew them"},
			{Status: doctor.OK, Check: "apigateway:GET", Account: "222222222222", Region: "eu-west-1", What: "1 APIs"},
			{Status: doctor.OK, Check: "apigateway:GET", Account: "333333333333", Region: "eu-west-1", What: "2 APIs"},
			denied("222222222222", "eu-west-1"), denied("222222222222", "eu-west-2"), denied("333333333333", "eu-west-1"), denied("444444444444", "eu-west-1"),
			{Status: doctor.OK, Check: "sink", Subject: "file:out", What: "can be delivered to"},
			{Status: doctor.Fail, Check: "sink", Subject: "kafka://b/\x1b[31mt", What: "no such topic", Mend: "make it"},
		},
		OK: 4, Warnings: 1, Failures: 5,
	}
}

// A finding that is the same in several places is one line, with the mend once.
func TestDoctorTable(t *testing.T) {
	t.Parallel()
	stdout, stderr, err := runDoctor(t, &examined{report: sickReport()})
	if err == nil || err.Error() != "5 of 10 checks failed" {
		t.Errorf("error %v", err)
	}
	want := `STATUS  CHECK                 WHERE                                                                              FOUND
ok      settings              -                                                                                  can be used
warn    base credentials      arn:aws:sts::111111111111:assumed-role/Base/x                                      they end soon
ok      apigateway:GET        222222222222 eu-west-1, 333333333333 eu-west-1                                     fine in 2 places; -o json has each
fail    logs:FilterLogEvents  222222222222 eu-west-1, 222222222222 eu-west-2, 333333333333 eu-west-1 and 1 more  the log group cannot be read
ok      sink                  file:out                                                                           can be delivered to
fail    sink                  kafka://b/?[31mt                                                                   no such topic

to mend:
  fail: logs:FilterLogEvents, 222222222222 eu-west-1, 222222222222 eu-west-2, 333333333333 eu-west-1 and 1 more
    the log group cannot be read
    of:   API-Gateway-Execution-Logs_a/prod
    why:  AccessDeniedException: no
    mend: add the statement to arn:aws:iam::*:role/Collector
    add:  {"Effect":"Allow","Action":"logs:FilterLogEvents","Resource":"arn:aws:logs:*:*:log-group:API-Gateway-Execution-Logs*"}
  fail: sink, kafka://b/?[31mt
    no such topic
    mend: make it
  warn: base credentials, arn:aws:sts::111111111111:assumed-role/Base/x
    they end soon
    mend: renew them

4 ok, 1 warning, 5 failures
`
	if d := cmp.Diff(want, stdout); d != "" {
		t.Error(d)
	}
	if !strings.Contains(stderr, "2/2 checks") {
		t.Errorf("progress %q", stderr)
	}
}

func TestDoctorJSONAndStatus(t *testing.T) {
	t.Parallel()
	stdout, _, err := runDoctor(t, &examined{report: sickReport()}, "-o", "json")
	var report doctor.Report
	if jsonErr := json.Unmarshal([]byte(stdout), &report); jsonErr != nil || err == nil {
		t.Fatalf("%v, %v\n%s", jsonErr, err, stdout)
	}
	if d := cmp.Diff(sickReport(), &report); d != "" {
		t.Error(d)
	}
	fine := &examined{report: &doctor.Report{Results: []doctor.Result{{Status: doctor.Warn, Check: "clock", What: "31s ahead of AWS's"}}, Warnings: 1}}
	if _, _, err := runDoctor(t, fine, "--region", "eu-west-1", "--sink", "file:out"); err != nil {
		t.Errorf("a warning fails: %v", err)
	}
	if c := fine.asked; len(c.Accounts.Regions) != 1 || len(c.Sinks) != 1 {
		t.Errorf("asked with %+v", c)
	}
}

func TestDoctorOfBadSettings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(file, []byte("pol_interval: 1s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, _, err := runDoctor(t, &examined{}, "--config", file)
	if err == nil || !strings.Contains(stdout, `unknown setting "pol_interval"`) || !strings.Contains(stdout, "did you mean poll_interval?") {
		t.Errorf("%v\n%s", err, stdout)
	}
	if _, _, err := runDoctor(t, &examined{}, "--log-level", "loud"); err == nil {
		t.Error("a bad flag is accepted")
	}
	if _, _, err := runDoctor(t, &examined{}, "now"); err == nil {
		t.Error("an argument is accepted")
	}
}
