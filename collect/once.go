package collect

import (
	"errors"
	"fmt"
	"strings"
)

// flush delivers what is left of the open calls, at the end of a RunOnce.
func (l *lane) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.assemblers {
		l.assemblers[p].Flush()
	}
	l.collect()
}

// exhausted reports whether a RunOnce has nothing more to read in the lane, and
// gives up on groups that failed for good. It is called with the lock held.
func (l *lane) exhausted() bool {
	now := l.c.now()
	for _, g := range l.order {
		if g.busy {
			return false
		}
		if l.abandoned(g) {
			continue
		}
		if _, again := l.rereadWindow(g, now); again || g.readings[fast].next < l.c.end || l.ripe(g) {
			return false
		}
	}
	return true
}

// abandoned reports whether a RunOnce has given up on a group.
func (l *lane) abandoned(g *group) bool {
	hopeless := func(t *trouble) bool {
		return t.state != "" && (!t.passing || t.failures >= l.c.cfg.OnceAttempts)
	}
	return g.absent || hopeless(&g.trouble) || hopeless(&l.trouble)
}

// unread says which accounts and groups a RunOnce could not read.
func (c *Collector) unread() error {
	var errs []error
	c.mu.Lock()
	for _, p := range c.problems {
		where := strings.TrimSuffix(p.Account+"/"+p.Region, "/")
		if p.Group != "" {
			where += " " + p.Group
		}
		errs = append(errs, &unreadError{fmt.Sprintf("could not list the log groups of %s: %s", where, p.What), p.Mend})
	}
	c.mu.Unlock()
	for _, l := range c.allLanes() {
		l.mu.Lock()
		if l.trouble.state != "" {
			errs = append(errs, &unreadError{fmt.Sprintf("could not read account %s in %s: %s", l.account, l.region, l.trouble.err), l.trouble.mend})
		} else {
			for _, g := range l.order {
				if g.trouble.state != "" && g.readings[fast].next < c.end {
					errs = append(errs, &unreadError{fmt.Sprintf("could not read log group %s of account %s in %s: %s", g.info.Name, l.account, l.region, g.trouble.err), g.trouble.mend})
				}
			}
		}
		l.mu.Unlock()
	}
	return errors.Join(errs...)
}

// unreadError is something that RunOnce could not read.
type unreadError struct{ what, mend string }

func (e *unreadError) Error() string { return e.what }

// Mend says what to change; it may be empty.
func (e *unreadError) Mend() string { return e.mend }
