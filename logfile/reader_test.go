package logfile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const rid = "7d1c2b3a-0a0b-4c0d-8e0f-001122334455"

// readAll gives each event as "group|stream|timestamp|id|message", and each
// error as its text.
func readAll(t *testing.T, in io.Reader, g transaction.Group) (events, errs []string) {
	t.Helper()
	r := NewReader(in, g)
	for range 100_000 {
		g, ev, err := r.Next()
		if errors.Is(err, io.EOF) {
			return events, errs
		}
		if err != nil {
			errs = append(errs, err.Error())
			if _, ok := errors.AsType[*RecordError](err); !ok {
				return events, errs
			}
			continue
		}
		name := g.Name
		if g.Account != "" || g.Region != "" {
			name = g.Account + "/" + g.Region + "/" + g.Name
		}
		events = append(events, fmt.Sprintf("%s|%s|%d|%s|%s", name, ev.Stream, ev.Timestamp, ev.ID, ev.Message))
	}
	t.Fatal("no end")
	return nil, nil
}

const (
	filterPage = `{
    "events": [
        {"logStreamName": "s1", "timestamp": 1767225600000, "message": "(` + rid + `) a\n}b", "ingestionTime": 1, "eventId": "11"},
        {
            "logStreamName": "s1",
            "timestamp": 1767225600001,
            "message": "(` + rid + `) \u00fc",
            "ingestionTime": 1,
            "eventId": "12"
        }
    ],
    "searchedLogStreams": [{"logStreamName": "s1", "searchedCompletely": true}],
    "nextToken": "x"
}
`
	getPage = `{"events":[{"timestamp":1767225600002,"message":"(` + rid + `) c","ingestionTime":1}],"nextForwardToken":"f/1","nextBackwardToken":"b/1"}`
)

var filterEvents = []string{
	"g|s1|1767225600000|11|(" + rid + ") a\n}b",
	"g|s1|1767225600001|12|(" + rid + ") ü",
}

func TestForms(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in     string
		events []string
		errs   int
	}{
		"filter-log-events": {filterPage, filterEvents, 0},
		"get-log-events":    {getPage, []string{"g||1767225600002||(" + rid + ") c"}, 0},
		"pages after pages": {
			filterPage + getPage + getPage,
			append(filterEvents[:2:2], "g||1767225600002||("+rid+") c", "g||1767225600002||("+rid+") c"), 0,
		},
		"an empty page": {`{"events": [], "searchedLogStreams": [], "nextToken": "x"}{"searchedLogStreams":[]}`, nil, 0},
		"a bare array":  {` [{"message":"a","timestamp":1767225600000},{"message":"b","timestamp":1767225600001}] `, []string{"g||1767225600000||a", "g||1767225600001||b"}, 0},
		"NDJSON": {
			`{"message":"a","timestamp":1767225600000,"eventId":"1","logStreamName":"s","logGroup":"h"}` + "\n" +
				`{"message":"b","timestamp":"2026-01-01T00:00:00.001Z","logGroupName":"arn:aws:logs:eu-west-1:111122223333:log-group:h:*"}` + "\r\n\n" +
				`{"message":"c","log_group":"i"}`,
			[]string{"h|s|1767225600000|1|a", "111122223333/eu-west-1/h||1767225600001||b", "i||0||c"},
			0,
		},
		"subscription data": {
			`{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"h","logStream":"s","subscriptionFilters":["f"],"logEvents":[{"id":"1","timestamp":1767225600000,"message":"a"}]}`,
			[]string{"111122223333//h|s|1767225600000|1|a"},
			0,
		},
		"tail": {
			"2026-01-01T00:00:00.000000+00:00 s1 (" + rid + ") a {\n  \"x\": 1\n\n}\n2026-01-01T00:00:00.001000+00:00 s2 (" + rid + ") b\n",
			[]string{"g|s1|1767225600000||(" + rid + ") a {\n  \"x\": 1\n\n}", "g|s2|1767225600001||(" + rid + ") b"},
			0,
		},
		"tail in short": {
			"2026-01-01T00:00:00 (" + rid + ") a\nmore\n2026-01-01T00:00:01 {\"requestId\":\"x\"}",
			[]string{"g||1767225600000||(" + rid + ") a\nmore", `g||1767225601000||{"requestId":"x"}`},
			0,
		},
		"tail in colours": {"\x1b[32m2026-01-01T00:00:00.000000+00:00\x1b[0m \x1b[36ms1\x1b[0m (" + rid + ") a", []string{"g|s1|1767225600000||(" + rid + ") a"}, 0},
		"bare lines": {
			"(" + rid + ") a\n(" + rid + ") Method request body before transformations: {\n \"x\": \"(y) z\"\n}\n(" + rid + ") c\n",
			[]string{"g||0||(" + rid + ") a", "g||0||(" + rid + ") Method request body before transformations: {\n \"x\": \"(y) z\"\n}", "g||0||(" + rid + ") c"},
			0,
		},
		"bare access records": {
			`{"requestId":"1","userAgent":"a "b" c","status":"200"}` + "\n" + `{"requestId":"2","userAgent":"a}"b","status":"200"}` + "\n" +
				`1.2.3.4 - - [01/Jan/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 1 x` + "\n" + `{"requestId":"3","httpMethod":"GET","message":"Forbidden"}`,
			[]string{
				`g||0||{"requestId":"1","userAgent":"a "b" c","status":"200"}`, `g||0||{"requestId":"2","userAgent":"a}"b","status":"200"}`,
				`g||0||1.2.3.4 - - [01/Jan/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 1 x`, `g||0||{"requestId":"3","httpMethod":"GET","message":"Forbidden"}`,
			},
			0,
		},
		"bare lines, then access records, then a page": {
			"(" + rid + ") a\n" + `{"requestId":"1","status":"200"}` + "\n(" + rid + ") b\n" + getPage,
			[]string{"g||0||(" + rid + ") a", `g||0||{"requestId":"1","status":"200"}`, "g||0||(" + rid + ") b", "g||1767225600002||(" + rid + ") c"},
			0,
		},
		"byte order mark":        {"\xef\xbb\xbf" + getPage, []string{"g||1767225600002||(" + rid + ") c"}, 0},
		"nothing":                {"", nil, 0},
		"a page cut off":         {filterPage[:strings.Index(filterPage, "],")-4], filterEvents, 1},
		"an event cut off":       {filterPage[:300], filterEvents[:1], 1},
		"a broken event":         {strings.Replace(filterPage, `"timestamp": 1767225600001`, `"timestamp": "`, 1) + getPage, []string{filterEvents[0], "g||1767225600002||(" + rid + ") c"}, 1},
		"a broken line":          {`{"message":"a"}` + "\n" + `{"message":"b` + "\n" + `{"message":"c"}`, []string{"g||0||a", "g||0||c"}, 1},
		"an event without text":  {`[{"timestamp":1},{"message":"a"}]`, []string{"g||0||a"}, 1},
		"Insights results, flat": {`{"@timestamp":"2026-01-01 00:00:00.000","@message":"a","@logStream":"s","@log":"111122223333:h"}`, []string{"111122223333//h|s|1767225600000||a"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, compressed := range []string{"", "gzip", "zstd"} {
				events, errs := readAll(t, compress(t, compressed, tc.in), transaction.Group{Name: "g"})
				if diff := cmp.Diff(tc.events, events); diff != "" || len(errs) != tc.errs {
					t.Errorf("%s errors %q, events (-want +got):\n%s", compressed, errs, diff)
				}
			}
		})
	}
}

func compress(t *testing.T, how, text string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch how {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zstd":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	default:
		return strings.NewReader(text)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestErrorsSayWhere(t *testing.T) {
	t.Parallel()
	_, errs := readAll(t, strings.NewReader("{\"message\":\"a\"}\n\n{\"message\":\"b\n"), transaction.Group{})
	if diff := cmp.Diff([]string{"line 3 (byte 17): broken JSON"}, errs); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	cut, _ := io.ReadAll(compress(t, "gzip", strings.Repeat(getPage, 100)))
	events, errs := readAll(t, bytes.NewReader(cut[:len(cut)-12]), transaction.Group{})
	if len(events) == 0 || len(errs) != 1 || !strings.Contains(errs[0], "reading gzip") {
		t.Errorf("a gzip file that was cut: %d events, %q", len(events), errs)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	d := transaction.Group{Name: "g", Account: "111122223333", Region: "eu-west-1", APIID: "a1b2c3d4e5"}
	r := NewReader(strings.NewReader(`{"message":"a"}{"message":"b","logGroup":"g"}{"message":"c","logGroup":"h"}`), d)
	other := d
	other.Name, other.APIID = "h", ""
	for _, want := range []transaction.Group{d, d, other} {
		got, _, err := r.Next()
		if err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

// A page of any length is read event by event.
func TestLongPageInBoundedMemory(t *testing.T) {
	t.Parallel()
	const events = 20_000
	element := `{"timestamp":1767225600000,"message":"` + strings.Repeat("x", 1000) + `"},`
	in := io.MultiReader(strings.NewReader(`{"events":[`), &repeated{text: element, times: events}, strings.NewReader(`]}`))
	r := NewReader(in, transaction.Group{})
	n := 0
	for {
		_, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
		if cap(r.raw) > 64<<10 || len(r.queue) > 1 {
			t.Fatalf("%d bytes and %d events are kept", cap(r.raw), len(r.queue))
		}
	}
	if n != events {
		t.Errorf("%d events, want %d", n, events)
	}
}

type repeated struct {
	text  string
	times int
	rest  string
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.times == 0 {
			return 0, io.EOF
		}
		r.times--
		r.rest = r.text
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func TestRecordsTooLong(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxRecord+1<<20)
	for name, in := range map[string]string{
		"line":  "(" + rid + ") a\n" + "2026-01-01T00:00:00 " + long + "\n2026-01-01T00:00:00 b\n",
		"event": `{"message":"a"}` + "\n" + `{"message":"` + long + "\"}\n" + `{"message":"b"}`,
	} {
		events, errs := readAll(t, strings.NewReader(in), transaction.Group{})
		if len(events) != 2 || len(errs) != 1 || !strings.Contains(errs[0], "8 MiB") {
			t.Errorf("%s: %d events, %.200q", name, len(events), errs)
		}
	}
}

func FuzzLogfile(f *testing.F) {
	f.Add([]byte(filterPage))
	f.Add([]byte(getPage + "\n(" + rid + ") x\n{\"message\":\"y\"}"))
	f.Add([]byte("2026-01-01T00:00:00.000000+00:00 s1 (" + rid + ") a {\n}"))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		events, _ := readAll(t, bytes.NewReader(in), transaction.Group{Name: "g"})
		plain, _ := readAll(t, io.MultiReader(bytes.NewReader(in)), transaction.Group{Name: "g"})
		if len(events) != len(plain) {
			t.Errorf("%d events, then %d", len(events), len(plain))
		}
	})
}
