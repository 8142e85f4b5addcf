package dashboard

import (
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/estate"
)

// slow is the lag from which on a page says that what it shows is not of now.
const slow = 2 * time.Minute

// completeness answers "is it complete?" in words.
type completeness struct {
	Class   string // good, wait, bad or unknown
	Shape   string
	Word    string
	Reasons []string
	// Until is the moment up to which the groups that can be read are read and
	// delivered.
	Until time.Time
}

func judge(h *collect.Health, collecting bool, snap *estate.Snapshot) completeness {
	if !collecting {
		return completeness{Class: "unknown", Shape: "○", Word: "Not known here", Reasons: []string{"this process collects nothing; the collectors' own pages tell"}}
	}
	if len(h.Groups) == 0 && len(h.Problems) == 0 {
		return completeness{Class: "wait", Shape: "◐", Word: "Nothing read yet", Reasons: []string{"no log group has been found so far"}}
	}
	c := completeness{Class: "good", Shape: "●", Word: "Complete"}
	worse := func(class, shape, word, reason string) {
		if c.Class != "bad" {
			c.Class, c.Shape, c.Word = class, shape, word
		}
		c.Reasons = append(c.Reasons, reason)
	}
	failing, behind, reading := 0, 0, 0
	for i := range h.Groups {
		g := &h.Groups[i]
		switch {
		case g.Error != "":
			failing++
		case g.Lag > slow:
			behind++
		}
		if g.Error == "" && !g.Cursor.IsZero() {
			reading++
			if c.Until.IsZero() || g.Cursor.Before(c.Until) {
				c.Until = g.Cursor
			}
		}
	}
	if !h.Totals.Balanced() {
		worse("bad", "■", "The books do not balance", "events were read that are nowhere accounted for")
	}
	if failing > 0 {
		worse("bad", "■", "Not complete", plural(failing, "log group cannot be read", "log groups cannot be read"))
	}
	accounts := map[string]bool{}
	for i := range h.Problems {
		if p := &h.Problems[i]; p.Group == "" {
			accounts[p.Account+" "+p.Region] = true
		}
	}
	if n := len(accounts); n > 0 {
		worse("bad", "■", "Not complete", plural(n, "account or region cannot be read", "accounts or regions cannot be read"))
	}
	var down []string
	for i := range h.Sinks {
		if h.Sinks[i].Error != "" {
			down = append(down, h.Sinks[i].Name)
		}
	}
	if len(down) > 0 {
		worse("wait", "◐", "Delivery waits", plural(len(down), "sink fails", "sinks fail")+"; nothing is lost, the cursor waits for it: "+strings.Join(down, ", "))
	}
	if behind > 0 {
		worse("wait", "◐", "Catching up", plural(behind, "log group is", "log groups are")+" more than "+duration(slow)+" behind")
	}
	switch h.Check.State {
	case collect.CheckShort:
		worse("bad", "■", "Not complete", events(h.Check.Missing)+" that CloudWatch counted could not be read")
	case collect.CheckRereading:
		worse("wait", "◐", "Reading again", events(h.Check.Missing)+" that CloudWatch counted were not read yet")
	case collect.CheckUnavailable:
		c.Reasons = append(c.Reasons, "not proven: CloudWatch's own count of events cannot be had")
	case collect.CheckComplete:
		c.Reasons = append(c.Reasons, "every minute compared has as many events as CloudWatch counted")
	}
	if n := leftOut(h); n > 0 {
		c.Reasons = append(c.Reasons, plural(int(n), "call was left out by the filters", "calls were left out by the filters"))
	}
	if h.Totals.Unparsed > 0 {
		c.Reasons = append(c.Reasons, plural(int(h.Totals.Unparsed), "event was not understood and is kept as unparsed", "events were not understood and are kept as unparsed"))
	}
	if t := snap.Totals(); t.StagesNotLogged > 0 {
		if c.Class == "good" {
			c.Word = "Complete, for what is logged"
		}
		c.Reasons = append(c.Reasons, count(t.StagesNotLogged)+" of "+plural(t.Stages, "stage is", "stages are")+" not logged: their calls cannot be seen at all")
	}
	return c
}

func events(n int64) string { return plural(int(n), "event", "events") }
