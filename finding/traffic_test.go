package finding

import (
	"testing"
	"time"
)

const day = 24 * time.Hour

// watched is an API whose calls were all seen for some days, with the last calls of
// routes, each so long ago.
func watched(days int, calls map[string]time.Duration) func(*world) {
	return func(w *world) {
		w.stage.WatchedSince, w.api.CallsWhole = testTime.Add(-time.Duration(days)*day), true
		for route, ago := range calls {
			w.api.Calls = append(w.api.Calls, Call{Method: "GET", Route: route, Last: testTime.Add(-ago)})
		}
	}
}

func also(first, then func(*world)) func(*world) { return func(w *world) { first(w); then(w) } }

var trafficRuleCases = []ruleCase{
	{"api-unused", REST, "called", watched(90, map[string]time.Duration{"/pets": day}), Pass},
	{"api-unused", HTTP, "called long ago", watched(90, map[string]time.Duration{"/pets": 60 * day}), Fail},
	{"api-unused", REST, "never called", watched(90, nil), Fail},
	{"api-unused", REST, "not watched", nothing, NotSeen},
	{"api-unused", REST, "watched for a week", watched(7, nil), NotSeen},
	{"api-unused", REST, "called, though watched for a week", watched(7, map[string]time.Duration{"/pets": day}), Pass},
	{"api-unused", REST, "called, though not watched", func(w *world) { w.api.Calls = []Call{{"GET", "/pets", testTime}} }, Pass},
	{"api-unused", REST, "calls without a route", also(watched(90, nil), func(w *world) { w.api.CallsWhole = false }), NotSeen},
	{"api-unused", REST, "one stage of two watched", also(watched(90, nil), func(w *world) { w.api.Stages = append(w.api.Stages, Stage{Name: "beta"}) }), NotSeen},
	{"api-unused", REST, "no stage", func(w *world) { w.api.Stages = nil }, NotApplicable},
	{"route-unused", REST, "called", watched(90, map[string]time.Duration{"/pets": day}), Pass},
	{"route-unused", REST, "another is called", watched(90, map[string]time.Duration{"/cats": day}), Fail},
	{"route-unused", REST, "another method is called", also(watched(90, map[string]time.Duration{"/pets": day}), func(w *world) { w.route.Method = "PUT" }), Fail},
	{"route-unused", REST, "any method", also(watched(90, map[string]time.Duration{"/pets": day}), func(w *world) { w.route.Method = "ANY" }), Pass},
	{"route-unused", REST, "the API is unused", watched(90, nil), NotApplicable},
	{"route-unused", REST, "not watched", nothing, NotSeen},
	{"route-unused", REST, "watched for a week", watched(7, map[string]time.Duration{"/cats": day}), NotSeen},
	{"route-unused", REST, "preflight", also(watched(90, nil), func(w *world) { w.route.Method = "OPTIONS" }), NotApplicable},
	{"route-unused", REST, "no stage", func(w *world) { w.api.Stages = nil }, NotApplicable},
	{"route-unused", HTTP, "a path that was learned", also(watched(90, map[string]time.Duration{"/a/{id}": day}), func(w *world) { w.route.Path = "$default" }), Pass},
	{"route-unused", HTTP, "all calls are of another route", also(watched(90, map[string]time.Duration{"/pets": day}), func(w *world) {
		w.api.Routes = append(w.api.Routes, Route{Method: "ANY", Path: "/{proxy+}", Authorization: "AWS_IAM"})
	}), Fail},
	{"route-unused", WebSocket, "connected", also(watched(90, nil), func(w *world) {
		w.api.Calls = []Call{{"", "$connect", testTime.Add(-day)}}
	}), Pass},
}

type heard struct {
	read  map[string]time.Time
	calls []Call
}

func (h heard) Read(_, _, group string) time.Time               { return h.read[group] }
func (h heard) Calls(_, _, _ string) (calls []Call, whole bool) { return h.calls, true }

// A stage is watched from when its log was read, and logged as it does now.
func TestObserve(t *testing.T) {
	t.Parallel()
	at := func(days int) time.Time { return testTime.Add(-time.Duration(days) * day) }
	const access = "arn:aws:logs:eu-west-1:111122223333:log-group:access"
	for name, c := range map[string]struct {
		of     APIType
		change func(*Stage)
		read   map[string]time.Time
		want   time.Time
	}{
		"execution log":                     {REST, nil, map[string]time.Time{"exec": at(50)}, at(50)},
		"nobody reads it":                   {REST, nil, nil, time.Time{}},
		"it logs errors alone":              {REST, func(s *Stage) { s.LoggingLevel = "ERROR" }, map[string]time.Time{"exec": at(50)}, time.Time{}},
		"some methods are off":              {REST, func(s *Stage) { s.Settings = append(s.Settings, Settings{Path: "/a", LoggingLevel: "OFF"}) }, map[string]time.Time{"exec": at(50)}, time.Time{}},
		"changed since":                     {REST, func(s *Stage) { s.Updated = at(5) }, map[string]time.Time{"exec": at(50)}, at(5)},
		"nobody knows when it changed":      {REST, func(s *Stage) { s.Updated = time.Time{} }, map[string]time.Time{"exec": at(50)}, time.Time{}},
		"an HTTP API has no execution log":  {HTTP, nil, map[string]time.Time{"exec": at(50)}, time.Time{}},
		"access log":                        {HTTP, func(s *Stage) { s.AccessLog = access }, map[string]time.Time{"access": at(50)}, at(50)},
		"access log as AWS may write it":    {HTTP, func(s *Stage) { s.AccessLog = access + ":*" }, map[string]time.Time{"access": at(50)}, at(50)},
		"access log to Firehose":            {HTTP, func(s *Stage) { s.AccessLog = "arn:aws:firehose:eu-west-1:111122223333:deliverystream/a" }, map[string]time.Time{"access": at(50)}, time.Time{}},
		"the longer of two logs that do it": {REST, func(s *Stage) { s.AccessLog = access }, map[string]time.Time{"exec": at(50), "access": at(60)}, at(60)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(c.of)
			w.stage.Updated = at(100)
			if c.change != nil {
				c.change(w.stage)
			}
			w.estate.Observe(heard{c.read, []Call{{"GET", "/pets", at(1)}}})
			if !w.stage.WatchedSince.Equal(c.want) {
				t.Errorf("it is watched since %v, not %v", w.stage.WatchedSince, c.want)
			}
			if len(w.api.Calls) != 1 || !w.api.CallsWhole {
				t.Errorf("the calls are %+v", w.api.Calls)
			}
		})
	}
}
