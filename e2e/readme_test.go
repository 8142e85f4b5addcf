package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// commands are the gatehouse commands in a document's code blocks, with their
// continued lines joined.
func commands(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, block := range regexp.MustCompile("(?s)```\n(.*?)```").FindAllStringSubmatch(string(b), -1) {
		text := regexp.MustCompile(`\s*\\\n\s*`).ReplaceAllString(block[1], " ")
		for l := range strings.Lines(text) {
			if l = strings.TrimSpace(l); strings.Contains(l, "gatehouse ") {
				out = append(out, l)
			}
		}
	}
	return out
}

// Every command of the README works as it stands there, but for the places
// where state and files go.
func TestReadme(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	const readmeID = "5f0c2c1e"
	w.sim.Account(apiAccount).AddRole(awssim.Role{
		Name: "GatehouseCollector", ExternalID: readmeID,
		TrustedPrincipals: []string{"arn:aws:iam::" + hubAccount + ":role/Hub"},
		Allow:             []string{"logs:DescribeLogGroups", "logs:FilterLogEvents", "logs:DescribeDeliver*", "apigateway:GET", "cloudwatch:GetMetricData"},
	})
	w.sim.Account(apiAccount).Region(region).AddRESTAPI(awssim.RESTAPI{
		ID: "a1b2c3d4e0", Name: "items", Stages: []awssim.Stage{{Name: "prod", LoggingLevel: "INFO"}},
	})
	w.sim.Account(apiAccount).Region(region).SetLogRole("arn:aws:iam::" + apiAccount + ":role/ApiGatewayLogs")
	ids := w.fill(20, 1, time.Now().Add(-2*time.Minute), time.Now().Add(-time.Minute), 31)
	dir := t.TempDir()
	settings := filepath.Join(dir, "gatehouse.yaml")
	// The file is the README's own, but for where this world is.
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```\n(organization: true.*?)```").FindStringSubmatch(string(readme))
	if block == nil {
		t.Fatal("the README shows no gatehouse.yaml")
	}
	yaml := strings.NewReplacer(
		"organization: true", "role_arns: ['arn:aws:iam::"+apiAccount+":role/GatehouseCollector']",
		"[eu-west-1, us-east-1]", "["+region+"]", "/var/lib/gatehouse", dir,
	).Replace(block[1]) + "listen: 127.0.0.1:0\n"
	if err := os.WriteFile(settings, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	env := w.env("GATEHOUSE_SETTLE=200ms", "GATEHOUSE_POLL_INTERVAL=200ms", "GATEHOUSE_GRACE=200ms")
	seen := map[string]bool{}
	for _, c := range commands(t, "../README.md") {
		c = strings.ReplaceAll(c, "/var/lib/gatehouse", dir)
		c = strings.ReplaceAll(c, "gatehouse.yaml", settings)
		args := strings.Fields(c[strings.Index(c, "gatehouse ")+len("gatehouse "):])
		verb := args[0]
		seen[verb] = true
		switch verb {
		case "parse":
			p := start(t, env, append(args, writeEvents(t))...)
			if code := p.exit(t, 20*time.Second); code != 0 || strings.Count(p.out.String(), "\n") != 1 {
				t.Errorf("%s: exit status %d, stdout %q\n%s", c, code, p.out.String(), tail(p.err.String()))
			}
		case "estate":
			p := start(t, env, args...)
			if code := p.exit(t, 30*time.Second); code != 0 || !strings.Contains(p.out.String(), apiAccount) {
				t.Errorf("%s: exit status %d\n%s\n%s", c, code, p.out.String(), tail(p.err.String()))
			}
		case "collect", "serve":
			p := start(t, env, args...)
			if verb == "collect" {
				eventually(t, 30*time.Second, func() error {
					if n := countLines(t, dir+"/calls"); n < len(ids) {
						return os.ErrNotExist
					}
					return nil
				})
				once(t, readFiles(t, dir+"/calls"), ids)
			} else {
				eventually(t, 20*time.Second, func() error {
					if !strings.Contains(p.err.String(), "sign in at") {
						return os.ErrNotExist
					}
					return nil
				})
			}
			p.signal(t, syscall.SIGTERM)
			if code := p.exit(t, 30*time.Second); code != 0 {
				t.Errorf("%s: exit status %d\n%s", c, code, tail(p.err.String()))
			}
		case "logging":
			p := start(t, env, args...)
			if code := p.exit(t, 60*time.Second); code != 0 || !strings.Contains(p.out.String(), "a1b2c3d4e0") {
				t.Errorf("%s: exit status %d\n%s\n%s", c, code, p.out.String(), tail(p.err.String()))
			}
		case "doctor":
			p := start(t, env, args...)
			if code := p.exit(t, 60*time.Second); code != 0 || !strings.Contains(p.out.String(), apiAccount) {
				t.Errorf("%s: exit status %d\n%s\n%s", c, code, p.out.String(), tail(p.err.String()))
			}
		case "policy":
			input, want := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"}]}`, "open-to-everyone"
			if args[1] == "eval" {
				input, want = `{"request":{"principal":"anonymous","action":"execute-api:Invoke","resource":"arn:aws:execute-api:eu-west-1:222233334444:a1b2c3d4e5/prod/GET/"}}`, `"decision":"implicit_deny"`
			}
			file := filepath.Join(dir, "input.json")
			if err := os.WriteFile(file, []byte(input), 0o600); err != nil {
				t.Fatal(err)
			}
			line := strings.NewReplacer("case.json", file, "resource-policy.json", file).Replace(strings.Join(args, " "))
			p := shell(t, env, line)
			if p.exit(t, 20*time.Second); !strings.Contains(p.out.String(), want) {
				t.Errorf("%s prints no %s:\n%s\n%s", c, want, p.out.String(), tail(p.err.String()))
			}
		case "gateway":
			p := start(t, env, strings.Fields(strings.ReplaceAll(strings.Join(args, " "), "gateway.yaml", writeGateway(t)))...)
			eventually(t, 20*time.Second, func() error {
				if !strings.Contains(p.out.String(), "gateway: ") {
					return os.ErrNotExist
				}
				return nil
			})
			p.signal(t, syscall.SIGTERM)
			if code := p.exit(t, 30*time.Second); code != 0 {
				t.Errorf("%s: exit status %d\n%s", c, code, tail(p.err.String()))
			}
		case "invoke":
			// Its host is AWS's own, so only the flags are tried here; the stories of the
			// gateway call with it.
			p := start(t, env, append(args, "--help")...)
			if code := p.exit(t, 20*time.Second); code != 0 {
				t.Errorf("%s: exit status %d\n%s", c, code, tail(p.err.String()))
			}
		case "login", "access":
			// They need a server with people and a cluster; the stories of lending have
			// both and go this way.
			p := start(t, env, append(args, "--help")...)
			if code := p.exit(t, 20*time.Second); code != 0 {
				t.Errorf("%s: exit status %d\n%s", c, code, tail(p.err.String()))
			}
		default:
			t.Errorf("the README has a command that this test does not run: %s", c)
		}
	}
	for _, verb := range []string{"collect", "parse", "estate", "serve", "doctor", "policy", "gateway", "access"} {
		if !seen[verb] {
			t.Errorf("the README shows no %s", verb)
		}
	}
}

// shell runs a line of gatehouse's arguments with the shell's redirections.
func shell(t *testing.T, env []string, line string) *process {
	t.Helper()
	return startCommand(t, env, "sh", "-c", `exec "$0" `+line, binary)
}

// writeGateway writes the smallest configuration of a gateway.
func writeGateway(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	text := `listen: 127.0.0.1:0
apis:
  - {id: a1b2c3d4e5, type: REST, account: "222233334444", region: eu-west-1, routes: [{method: GET, path: /, integration: {type: MOCK}}], stages: [{name: prod}]}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// writeEvents writes what 'aws logs filter-log-events' would print of one call.
func writeEvents(t *testing.T) string {
	t.Helper()
	type event struct {
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
		EventID   string `json:"eventId"`
	}
	var doc struct {
		Events []event `json:"events"`
	}
	id := "0a1b2c3d-0000-4000-8000-000000000001"
	for i, l := range []string{"Extended Request Id: AbCdEfGhIjKlMno=", "HTTP Method: GET, Resource Path: /items", "Method completed with status: 200"} {
		doc.Events = append(doc.Events, event{1_700_000_000_000 + int64(i), "(" + id + ") " + l, "3700000000000000000000000000000000000000000000000000000" + string(rune('0'+i))})
	}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "events.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
