//go:build integration

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// need finds a program that a test cannot do without. It skips the test by the
// program's name, or fails it where all components must be there.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, program)
	}
	return path
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("GATEHOUSE_REQUIRE_COMPONENTS") != "" {
		t.Fatalf("%s is missing", what)
	}
	t.Skipf("%s is missing: run 'make integration'", what)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// component starts a program that runs until the test ends or stop is called.
func component(t *testing.T, env []string, name string, args ...string) (stop func()) {
	t.Helper()
	_, stop = componentProcess(t, env, name, args...)
	return stop
}

// componentProcess is component for those who signal the program.
func componentProcess(t *testing.T, env []string, name string, args ...string) (p *os.Process, stop func()) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-done
		}
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(name), tail(out.String()))
		}
	})
	return cmd.Process, stop
}

// moto starts a moto server and returns its address.
func moto(t *testing.T) string {
	t.Helper()
	bin := need(t, "moto_server")
	port := freePort(t)
	component(t, []string{"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test"}, bin, "-H", "127.0.0.1", "-p", fmt.Sprint(port))
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	eventually(t, 60*time.Second, func() error {
		resp, err := http.Get(url + "/moto-api/")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	})
	return url
}

// kafka is a real broker of one test, which may stop and start it.
type kafka struct {
	addr string
	conf string
	stop func()
}

func newKafka(t *testing.T) *kafka {
	t.Helper()
	home := os.Getenv("KAFKA_HOME")
	if home == "" {
		missing(t, "KAFKA_HOME (Apache Kafka)")
	}
	need(t, "java")
	dir := t.TempDir()
	port, controller := freePort(t), freePort(t)
	k := &kafka{addr: fmt.Sprintf("127.0.0.1:%d", port), conf: filepath.Join(dir, "kafka.properties")}
	conf := fmt.Sprintf(`process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d
advertised.listeners=PLAINTEXT://%s
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:%d
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=%s/data
num.partitions=3
offsets.topic.replication.factor=1
`, k.addr, controller, k.addr, controller, dir)
	if err := os.WriteFile(k.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	id := base64.RawURLEncoding.EncodeToString([]byte("gatehouse-e2e-01"))
	out, err := exec.Command("java", "-cp", home+"/libs/*", "kafka.tools.StorageTool", "format", "--standalone", "-t", id, "-c", k.conf).CombinedOutput()
	if err != nil {
		t.Fatalf("formatting Kafka's storage: %v\n%s", err, out)
	}
	k.start(t)
	return k
}

func (k *kafka) start(t *testing.T) {
	t.Helper()
	k.stop = component(t, nil, "java", "-Xmx512m", "-cp", os.Getenv("KAFKA_HOME")+"/libs/*", "kafka.Kafka", k.conf)
	kcat := need(t, "kcat")
	eventually(t, 90*time.Second, func() error {
		out, err := exec.Command(kcat, "-b", k.addr, "-L", "-m", "2").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// kcat reads a topic from its beginning to its end.
func (k *kafka) kcat(t *testing.T, topic string) []string {
	t.Helper()
	out, err := exec.Command(need(t, "kcat"), "-b", k.addr, "-t", topic, "-C", "-o", "beginning", "-e", "-q").Output()
	if err != nil {
		return nil
	}
	var lines []string
	for l := range bytes.Lines(out) {
		lines = append(lines, string(bytes.TrimSpace(l)))
	}
	return lines
}

// awsCLI is the AWS CLI with the credentials of a role in an account, which
// moto gives to anyone; moto keeps accounts apart by them.
type awsCLI struct {
	bin, endpoint string
	env           []string
}

func newAWSCLI(t *testing.T, endpoint, account string) *awsCLI {
	t.Helper()
	c := &awsCLI{bin: need(t, "aws"), endpoint: endpoint, env: []string{"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test"}}
	var out struct {
		Credentials struct {
			ID     string `json:"AccessKeyId"`
			Secret string `json:"SecretAccessKey"`
			Token  string `json:"SessionToken"`
		}
	}
	role := "arn:aws:iam::" + account + ":role/Writer"
	if err := json.Unmarshal(c.run(t, "sts", "assume-role", "--role-arn", role, "--role-session-name", "writer"), &out); err != nil {
		t.Fatal(err)
	}
	c.env = []string{
		"AWS_ACCESS_KEY_ID=" + out.Credentials.ID, "AWS_SECRET_ACCESS_KEY=" + out.Credentials.Secret,
		"AWS_SESSION_TOKEN=" + out.Credentials.Token,
	}
	return c
}

func (c *awsCLI) run(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(c.bin, append([]string{"--endpoint-url", c.endpoint, "--region", region, "--output", "json"}, args...)...)
	cmd.Env = append(append(os.Environ(), "AWS_PAGER="), c.env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("aws %s %s: %v\n%s", args[0], args[1], err, stderr.String())
	}
	return out
}

const logStream = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"

// putCalls writes the execution-log lines of calls with the AWS CLI, as a
// person would who tries the connector, and returns their request ids.
func (c *awsCLI) putCalls(t *testing.T, group string, calls int, from time.Time) map[string]bool {
	t.Helper()
	type event struct {
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	}
	var events []event
	ids := map[string]bool{}
	r := rand.New(rand.NewPCG(uint64(from.UnixNano()), 9))
	for n := range calls {
		id, lines, after := callLines(n, r)
		ids[id] = true
		for i, l := range lines {
			events = append(events, event{from.UnixMilli() + int64(n)*50 + after[i], l})
		}
	}
	file := filepath.Join(t.TempDir(), "events.json")
	b, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(t, "logs", "put-log-events", "--log-group-name", group, "--log-stream-name", logStream, "--log-events", "file://"+file)
	return ids
}

// The Akto connector's own deployment on components that we did not write: the
// AWS CLI fills moto, gatehouse collects with that deployment's variables
// alone, kcat reads the messages from Apache Kafka. Then the broker is gone for
// a while.
func TestIntegrationAktoDeploymentWithMotoAndKafka(t *testing.T) {
	endpoint := moto(t)
	k := newKafka(t)
	group := "API-Gateway-Execution-Logs_a1b2c3d4e5/prod"
	cli := newAWSCLI(t, endpoint, "222233334444")
	cli.run(t, "logs", "create-log-group", "--log-group-name", group)
	cli.run(t, "logs", "create-log-stream", "--log-group-name", group, "--log-stream-name", logStream)
	ids := cli.putCalls(t, group, 40, time.Now().Add(-90*time.Second))
	p := start(t, []string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AKTO_BYTES_IN_THRESHOLD=100", "AKTO_TRAFFIC_BATCH_TIME_SECS=10", "AKTO_TRAFFIC_BATCH_SIZE=100",
		"AKTO_KAFKA_BROKER_MAL=" + k.addr, "CLOUDWATCH_READ_BATCH_SIZE=5",
		"CROSS_ACCOUNT_ROLE_ARN=arn:aws:iam::222233334444:role/CrossAccountCloudWatchRole",
		"LOG_GROUP_PREFIX=API-Gateway-Execution-Logs", "SESSION_NAME=akto", "AWS_REGION=" + region,
		"DATABASE_ABSTRACTOR_TOKEN=",
	}, "collect")
	read := func(want map[string]bool, within time.Duration) []map[string]any {
		var out []map[string]any
		eventually(t, within, func() error {
			out = nil
			for _, l := range k.kcat(t, "akto.api.logs") {
				m := map[string]any{}
				if err := json.Unmarshal([]byte(l), &m); err != nil {
					t.Fatalf("kcat read %q: %v", l, err)
				}
				out = append(out, m)
			}
			if len(out) < len(want) {
				return fmt.Errorf("%d of %d messages\n%s", len(out), len(want), tail(p.err.String()))
			}
			return nil
		})
		return out
	}
	got := read(ids, 2*time.Minute)
	if len(got) != len(ids) {
		t.Errorf("%d messages for %d calls", len(got), len(ids))
	}
	m := got[0]
	for f, want := range map[string]string{
		"method": "POST", "type": "HTTP/1.1", "status": "OK", "ip": "203.0.113.7", "akto_account_id": "1000000",
		"akto_vxlan_id": "0", "is_pending": "false", "source": "MIRRORING", "direction": "1",
	} {
		if m[f] != want {
			t.Errorf("%s = %#v, want the string %q", f, m[f], want)
		}
	}
	if path := fmt.Sprint(m["path"]); !strings.HasPrefix(path, "/items/") || !strings.Contains(path, "?n=") {
		t.Errorf("path = %q", path)
	}

	// The broker goes away; calls come meanwhile; it comes back.
	k.stop()
	more := cli.putCalls(t, group, 25, time.Now())
	time.Sleep(60 * time.Second)
	select {
	case <-p.done:
		t.Fatalf("gatehouse ended while the broker was away\n%s", tail(p.err.String()))
	default:
	}
	k.start(t)
	read(join(ids, more), 3*time.Minute)

	p.signal(t, syscall.SIGTERM)
	if code := p.exit(t, 60*time.Second); code != 0 {
		t.Errorf("exit status %d\n%s", code, tail(p.err.String()))
	}
}

func join(a, b map[string]bool) map[string]bool {
	out := map[string]bool{}
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}
