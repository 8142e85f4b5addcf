package transaction

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// The fixed corpus of tests and benchmarks: calls to an imaginary shop, the same
// on each run.

const corpusStart = 1_767_225_600_000 // 2026-01-01T00:00:00Z

func uuidOf(r *rand.Rand) string {
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", r.Uint32(), r.Uint32()&0xffff, r.Uint32()&0xfff, r.Uint32()&0xfff, r.Uint64()&0xffffffffffff)
}

func eventIDOf(at int64, n int) string {
	return fmt.Sprintf("3%013d%042d", at, n)
}

// executionCall is one call of twelve lines and about two kilobytes.
func executionCall(r *rand.Rand, n int, at int64) []Event {
	id := uuidOf(r)
	item := r.IntN(1_000_000)
	lines := []string{
		fmt.Sprintf("Extended Request Id: Zq%08xPHcFg=", r.Uint32()),
		"Verifying Usage Plan for request: " + id + ". API Key:  API Stage: a1b2c3d4e5/prod",
		"Starting execution for request: " + id,
		fmt.Sprintf("HTTP Method: POST, Resource Path: /orders/%d/lines", item),
		fmt.Sprintf("Method request path: {orderId=%d}", item),
		"Method request query string: {expand=customer, dryRun=false}",
		fmt.Sprintf("Method request headers: {Accept=application/json, text/plain, */*, CloudFront-Viewer-Country=DE, X-Forwarded-For=203.0.113.%d, 70.132.20.83, User-Agent=shop-app/4.%d (Android 15; de-DE), X-Forwarded-Proto=https, Host=a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com, X-Forwarded-Port=443, X-Amzn-Trace-Id=Root=1-65920080-%024x, Via=2.0 d0c5.cloudfront.net (CloudFront), Authorization=*************************************a8f3c1, Accept-Encoding=gzip, br, Content-Type=application/json; charset=utf-8}", r.IntN(256), r.IntN(30), r.Uint64()),
		fmt.Sprintf(`Method request body before transformations: {"sku":"SKU-%06d","quantity":%d,"note":"please wrap it, thank you","gift":{"wrap":true,"message":"Happy birthday"},"warehouse":"FRA-%d","unitPrice":{"amount":%d.95,"currency":"EUR"}}`, item, 1+r.IntN(9), r.IntN(9), r.IntN(200)),
		fmt.Sprintf("Received response. Status: 201, Integration latency: %d ms", 5+r.IntN(300)),
		fmt.Sprintf(`Method response body after transformations: {"orderId":%d,"lineId":%d,"status":"ACCEPTED","total":{"amount":%d.90,"currency":"EUR"},"links":[{"rel":"self","href":"/orders/%d/lines/1"}],"estimatedDelivery":"2026-01-0%d"}`, item, r.IntN(90000), r.IntN(2000), item, 1+r.IntN(8)),
		"Method response headers: {Content-Type=application/json, X-Amzn-Trace-Id=Root=1-65920080-0f0c0f0c0f0c0f0c0f0c0f0c;Parent=4b1c;Sampled=0, Cache-Control=private, max-age=0, x-amzn-RequestId=" + uuidOf(r) + ", Access-Control-Allow-Origin=*}",
		"Method completed with status: 201",
	}
	events := make([]Event, len(lines))
	stream := fmt.Sprintf("%032x", r.Uint64N(16))
	for i, line := range lines {
		t := at + int64(i*3)
		events[i] = Event{ID: eventIDOf(t, n*16+i), Stream: stream, Timestamp: t, Message: "(" + id + ") " + line}
	}
	return events
}

// executionCorpus is n calls of which some run at the same time.
func executionCorpus(n int) (events []Event, bytes int64) {
	r := rand.New(rand.NewPCG(7, 11))
	const beside = 16
	for i := 0; i < n; i += beside {
		var calls [][]Event
		for k := range min(beside, n-i) {
			calls = append(calls, executionCall(r, i+k, corpusStart+int64(i)*4+int64(k)))
		}
		for line := range 12 {
			for _, c := range calls {
				events = append(events, c[line])
				bytes += int64(len(c[line].Message))
			}
		}
	}
	return events, bytes
}

const (
	jsonFormat = `{"requestId":"$context.requestId","extendedRequestId":"$context.extendedRequestId","ip":"$context.identity.sourceIp","userArn":"$context.identity.userArn","userAgent":"$context.identity.userAgent","requestTime":"$context.requestTime","httpMethod":"$context.httpMethod","resourcePath":"$context.resourcePath","path":"$context.path","status":"$context.status","protocol":"$context.protocol","responseLength":"$context.responseLength","responseLatency":"$context.responseLatency"}`
	clfFormat  = `$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime] "$context.httpMethod $context.resourcePath $context.protocol" $context.status $context.responseLength $context.requestId $context.extendedRequestId "$context.identity.userAgent" $context.responseLatency $context.path`
)

func accessCorpus(n int, json bool) (events []Event, bytes int64) {
	r := rand.New(rand.NewPCG(3, 5))
	for i := range n {
		id, ext := uuidOf(r), fmt.Sprintf("Zq%08xPHcFg=", r.Uint32())
		at := corpusStart + int64(i)
		item, ip := r.IntN(100000), fmt.Sprintf("203.0.113.%d", r.IntN(256))
		status := []int{200, 200, 200, 201, 404}[r.IntN(5)]
		var m string
		if json {
			m = fmt.Sprintf(`{"requestId":"%s","extendedRequestId":"%s","ip":"%s","userArn":"-","userAgent":"shop-app/4.2 (Android 15)","requestTime":"01/Jan/2026:00:00:%02d +0000","httpMethod":"GET","resourcePath":"/orders/{orderId}","path":"/prod/orders/%d","status":"%d","protocol":"HTTP/1.1","responseLength":"%d","responseLatency":"%d"}`,
				id, ext, ip, i/1000%60, item, status, r.IntN(5000), r.IntN(400))
		} else {
			m = fmt.Sprintf(`%s - - [01/Jan/2026:00:00:%02d +0000] "GET /orders/{orderId} HTTP/1.1" %d %d %s %s "shop-app/4.2 (Android 15)" %d /prod/orders/%d`,
				ip, i/1000%60, status, r.IntN(5000), id, ext, r.IntN(400), item)
		}
		events = append(events, Event{ID: eventIDOf(at, i), Stream: "s", Timestamp: at, Message: m})
		bytes += int64(len(m))
	}
	return events, bytes
}

// assemble runs lines, "timestamp text" or text alone, through one feed.
func assemble(g Group, o Options, messages ...string) ([]*Call, map[string]int) {
	a := NewAssembler(o)
	f := a.Feed(g)
	counts := map[string]int{}
	for i, m := range messages {
		ev := Event{ID: eventIDOf(corpusStart+int64(i), i), Stream: "s", Timestamp: corpusStart + int64(i), Message: m}
		counts[f.Add(&ev).String()]++
	}
	a.Flush()
	return a.Take(nil), counts
}

// lines puts a request id before each line.
func lines(id string, texts ...string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = "(" + id + ") " + t
	}
	return out
}

func restGroup() Group {
	return Group{Account: "111122223333", Region: "eu-central-1", Name: "API-Gateway-Execution-Logs_a1b2c3d4e5/prod"}
}

func jsonOf(c *Call) string { return string(c.Transaction.AppendJSON(nil)) }

func joined(calls []*Call) string {
	var b strings.Builder
	for _, c := range calls {
		b.WriteString(jsonOf(c))
		b.WriteByte('\n')
	}
	return b.String()
}
