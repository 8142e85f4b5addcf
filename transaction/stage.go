package transaction

import (
	"math"

	"github.com/cespare/xxhash/v2"
)

type stageKey struct{ account, region, api, name string }

// stage is a stage of an API, with the calls to it that are open and the feeds
// that can add to them. A feed whose stage is not known has a loose stage of its
// own, without API and name.
type stage struct {
	stageKey
	number    uint32 // from 1: 0 is no stage
	seed      uint64
	looseSeed uint64
	feed      *Feed // of a loose stage
	links     []link
	due       dueQueue
}

type link struct {
	feed *Feed
	exec bool // has given execution lines
}

// maxStages bounds what records may claim: beyond it they count as not telling
// their stage.
const maxStages = 1 << 16

func (a *Assembler) stageFor(k stageKey) *stage {
	if s := a.stages[k]; s != nil {
		return s
	}
	if len(a.stages) >= maxStages {
		return nil
	}
	s := a.newStage(k)
	a.stages[k] = s
	return s
}

func (a *Assembler) newStage(k stageKey) *stage {
	s := &stage{stageKey: k, number: uint32(len(a.list) + 1)}
	text := k.account + "\x00" + k.region
	s.looseSeed = xxhash.Sum64String(text)
	s.seed = s.looseSeed
	if k.api != "" || k.name != "" {
		s.seed = xxhash.Sum64String(text + "\x00" + k.api + "\x00" + k.name)
	}
	a.list = append(a.list, s)
	return s
}

func (s *stage) loose() bool { return s.api == "" && s.name == "" }

// compatible reports whether two stages may be the same one.
func (s *stage) compatible(o *stage) bool {
	return s == o || s.account == o.account && s.region == o.region &&
		(s.api == o.api || s.api == "" || o.api == "") &&
		(s.name == o.name || s.name == "" || o.name == "")
}

// knows says how much is known of a stage.
func (s *stage) knows() int {
	n := 0
	if s.api != "" {
		n += 2
	}
	if s.name != "" {
		n++
	}
	return n
}

func (s *stage) attached() bool {
	for i := range s.links {
		if !s.links[i].feed.detached {
			return true
		}
	}
	return false
}

// clock is the log time up to which all feeds that can add to the stage's calls
// have been read. Feeds that have only ever given access records hold calls
// back for Idle at most, seen from the feeds of execution logs.
func (a *Assembler) clock(s *stage) int64 {
	all, exec := int64(math.MaxInt64), int64(math.MaxInt64)
	attached, lines := false, false
	for i := range s.links {
		l := &s.links[i]
		if l.feed.detached {
			continue
		}
		attached = true
		all = min(all, l.feed.frontier)
		if l.exec {
			lines = true
			exec = min(exec, l.feed.frontier)
		}
	}
	if !attached {
		return math.MinInt64
	}
	if s.feed != nil && !s.feed.linked {
		// Nobody knows yet which execution log this feed's records belong to:
		// any of the same account and region may be the one.
		own := all
		for _, f := range a.order {
			if !f.detached && f.group.Account == s.account && f.group.Region == s.region {
				all = min(all, f.frontier)
			}
		}
		return max(all, addTime(own, a.grace-a.idle))
	}
	if lines {
		return max(all, addTime(exec, a.grace-a.idle))
	}
	return all
}
