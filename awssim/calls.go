package awssim

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// CallCount counts the calls of one operation by one account in one region.
type CallCount struct {
	Service   string `json:"service"`
	Operation string `json:"operation"`
	Account   string `json:"account,omitempty"` // the caller's; empty if unknown
	Region    string `json:"region,omitempty"`
	Calls     int    `json:"calls"`
	// Failed are those answered with an error, injected ones too.
	Failed int `json:"failed"`
	// Throttled are those answered with a throttling error.
	Throttled int `json:"throttled"`
}

type callKey struct{ service, operation, account, region string }

// calls counts. Its lock is a leaf.
type calls struct {
	mu     sync.Mutex
	counts map[callKey]*CallCount
}

func (c *calls) count(k callKey, failed, throttled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.counts[k]
	if n == nil {
		if c.counts == nil {
			c.counts = map[callKey]*CallCount{}
		}
		n = &CallCount{Service: k.service, Operation: k.operation, Account: k.account, Region: k.region}
		c.counts[k] = n
	}
	n.Calls++
	if failed {
		n.Failed++
	}
	if throttled {
		n.Throttled++
	}
}

// Calls lists all calls since the start or the last ResetCalls, sorted by
// service, operation, account and region.
func (s *Sim) Calls() []CallCount {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	list := make([]CallCount, 0, len(s.calls.counts))
	for n := range maps.Values(s.calls.counts) {
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b CallCount) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Operation, b.Operation),
			cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region))
	})
	return list
}

// CallsOf counts the calls of an operation over all accounts and regions.
func (s *Sim) CallsOf(service, operation string) int {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	sum := 0
	for k, n := range s.calls.counts {
		if k.service == service && k.operation == operation {
			sum += n.Calls
		}
	}
	return sum
}

// ResetCalls sets all counters to zero.
func (s *Sim) ResetCalls() {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	s.calls.counts = nil
}
