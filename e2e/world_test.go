package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	hubAccount = "111122223333"
	apiAccount = "222233334444"
	region     = "eu-west-1"
	externalID = "x-e2e"
)

// world is a simulated AWS with a hub account and an account that has APIs.
type world struct {
	sim    *awssim.Sim
	server *awssim.Server
	logs   *awssim.Logs
	creds  awssim.Credentials
}

func newWorld(t *testing.T, o awssim.Options) *world {
	t.Helper()
	w := &world{sim: awssim.New(o)}
	w.sim.Account(hubAccount).AddRole(awssim.Role{Name: "Hub", Allow: []string{"sts:*"}})
	w.sim.Account(apiAccount).AddRole(awssim.Role{
		Name:              "Reader",
		TrustedPrincipals: []string{"arn:aws:iam::" + hubAccount + ":role/Hub"},
		ExternalID:        externalID,
		Allow:             []string{"logs:DescribeLogGroups", "logs:FilterLogEvents", "apigateway:GET"},
	})
	w.logs = w.sim.Account(apiAccount).Region(region).Logs()
	w.creds = w.sim.Account(hubAccount).Session("Hub", "e2e", 12*time.Hour)
	var err error
	if w.server, err = w.sim.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.server.Close() })
	return w
}

func (w *world) readerARN() string { return "arn:aws:iam::" + apiAccount + ":role/Reader" }

// env is what reaches this world, with temporary credentials.
func (w *world) env(more ...string) []string {
	return append([]string{
		"AWS_ENDPOINT_URL=" + w.server.URL(),
		"AWS_ACCESS_KEY_ID=" + w.creds.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + w.creds.SecretAccessKey,
		"AWS_SESSION_TOKEN=" + w.creds.SessionToken,
		"AWS_REGION=" + region,
		"AWS_EC2_METADATA_DISABLED=true",
	}, more...)
}

// callLines are the execution-log lines of the n-th call of a test, twelve of
// them, with the milliseconds at which each is written after the first.
func callLines(n int, r *rand.Rand) (id string, lines []string, after []int64) {
	id = fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", n, r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<12), r.Int64N(1<<48))
	body := fmt.Sprintf(`{"n":%d,"text":"%s"}`, n, strings.Repeat("lorem ipsum ", 8))
	texts := []string{
		fmt.Sprintf("Extended Request Id: %011dHPcE=", n),
		"Verifying Usage Plan for request: " + id + ". API Key:  API Stage: a1b2c3d4e5/prod",
		"API Key  authorized because method 'POST /items/{id}' does not require API Key. Request will not contribute to throttle or quota limits",
		"Starting execution for request: " + id,
		fmt.Sprintf("HTTP Method: POST, Resource Path: /items/%d", n%1000),
		fmt.Sprintf("Method request query string: {n=%d}", n),
		"Method request headers: {Content-Type=application/json, Host=a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com, X-Forwarded-For=203.0.113.7}",
		"Method request body before transformations: " + body,
		"Received response. Status: 200, Integration latency: 12 ms",
		`Method response body after transformations: {"ok":true}`,
		"Method response headers: {Content-Type=application/json}",
		"Method completed with status: 200",
	}
	at := int64(0)
	for _, text := range texts {
		lines = append(lines, "("+id+") "+text)
		after = append(after, at)
		at += int64(r.IntN(4))
	}
	return id, lines, after
}

// fill writes calls into groups, interleaved, spread evenly over [from, to),
// and returns their request ids.
func (w *world) fill(calls, groups int, from, to time.Time, seed uint64) map[string]bool {
	r := rand.New(rand.NewPCG(seed, 7))
	ids := make(map[string]bool, calls)
	span := to.Sub(from).Milliseconds()
	batch := make([][]awssim.LogEvent, groups)
	for n := range calls {
		id, lines, after := callLines(n, r)
		ids[id] = true
		at := from.UnixMilli() + span*int64(n)/int64(calls)
		g := n % groups
		for i, l := range lines {
			batch[g] = append(batch[g], awssim.LogEvent{Timestamp: at + after[i], Message: l})
		}
		if len(batch[g]) > 5000 || n >= calls-groups {
			w.logs.Put(groupName(g), fmt.Sprintf("%032x", g), batch[g]...)
			batch[g] = nil
		}
	}
	return ids
}

func groupName(g int) string { return fmt.Sprintf("API-Gateway-Execution-Logs_a1b2c3d4e%d/prod", g) }

// readFiles returns every transaction that a file sink's folder holds. A line
// without its end, which a kill leaves behind until the next start cuts it off,
// is none.
func readFiles(t *testing.T, dir string) []*transaction.Transaction {
	t.Helper()
	var out []*transaction.Transaction
	eachFile(t, dir, func(name string, r io.Reader) {
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for l := range bytes.Lines(text) {
			if !bytes.HasSuffix(l, []byte{'\n'}) {
				continue
			}
			tx := new(transaction.Transaction)
			if err := json.Unmarshal(l, tx); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, l)
			}
			out = append(out, tx)
		}
	})
	return out
}

// countLines counts the lines in the files of a file sink, cheaply enough to
// be asked again and again while it writes.
func countLines(t *testing.T, dir string) int {
	t.Helper()
	total := 0
	eachFile(t, dir, func(_ string, r io.Reader) {
		buf := make([]byte, 1<<16)
		for {
			n, err := r.Read(buf)
			total += bytes.Count(buf[:n], []byte{'\n'})
			if err != nil {
				return
			}
		}
	})
	return total
}

// eachFile opens every file of transactions in a file sink's folder. While a
// file is compressed its two forms stand side by side for a moment; one is read.
func eachFile(t *testing.T, dir string, read func(name string, r io.Reader)) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "transactions*.ndjson*"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, name := range names {
		base := strings.TrimSuffix(name, ".zst")
		if seen[base] || !strings.HasSuffix(base, ".ndjson") {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			continue // renamed since
		}
		seen[base] = true
		if base == name {
			read(name, f)
		} else {
			z, err := zstd.NewReader(f)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			read(name, z)
			z.Close()
		}
		_ = f.Close()
	}
}

// once fails the test unless exactly the calls with these request ids are
// there, each once.
func once(t *testing.T, got []*transaction.Transaction, want map[string]bool) {
	t.Helper()
	seen := make(map[string]int, len(got))
	for _, tx := range got {
		seen[tx.RequestID]++
	}
	missing, doubled, strange := 0, 0, 0
	for id := range want {
		if seen[id] == 0 {
			missing++
		}
	}
	for id, n := range seen {
		if n > 1 {
			doubled++
		}
		if !want[id] {
			strange++
		}
	}
	if missing+doubled+strange > 0 {
		t.Errorf("of %d calls %d are missing, %d are there more than once, %d were never made", len(want), missing, doubled, strange)
	}
}
