package dashboard

import (
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// maxListed bounds the lines of a policy that are shown.
const maxListed = 1500

// listingRow is a line of a policy, or what is said between its lines. Of
// Pieces, Says, Finding and Fault one is set.
type listingRow struct {
	Number  int
	Pieces  []listingPiece
	Says    *statementSays
	Finding *iam.Finding
	Fault   *labFault
	// Left is how many lines are not shown, on the last row.
	Left int
}

// listingPiece is a part of a line; Class tells what its statement does.
type listingPiece struct{ Class, Text string }

// statementSays is what a statement does to the request.
type statementSays struct {
	Index  int
	Sid    string
	Mark   badge
	Prose  string
	Reason string // why it applies or not; empty if nothing was decided
}

// list makes the listings of all policies that are not empty.
func (a *labAnswer) list() {
	for i := range a.Slots {
		sl := &a.Slots[i]
		if strings.TrimSpace(sl.text) == "" {
			continue
		}
		var says []statementSays
		if sl.doc != nil {
			for j, t := range sl.Sentences {
				says = append(says, a.says(sl, j, t))
			}
		}
		sl.Listing = listing(sl, says)
	}
}

func (a *labAnswer) says(sl *labSlot, j int, t iam.Sentence) statementSays {
	s := statementSays{Index: j, Sid: t.Sid, Prose: t.Text, Mark: badge{Class: "idle", Shape: "○", Word: string(t.Effect)}}
	if a.Decided == nil {
		return s
	}
	for i := range a.Decided.Traces {
		trace := &a.Decided.Traces[i]
		if trace.Policy != sl.Name || trace.Statement != j {
			continue
		}
		s.Reason = trace.Because
		switch {
		case trace.Applies && trace.Effect == iam.Deny:
			s.Mark = badge{"denies", "■", "denies this request", ""}
		case trace.Applies:
			s.Mark = badge{"allows", "●", "allows this request", ""}
		default:
			s.Mark = badge{"idle", "○", "does not apply", ""}
		}
	}
	return s
}

// listing cuts a policy into lines, marks the text of each statement, and puts
// between the lines what each statement does and what is wrong with it.
func listing(sl *labSlot, says []statementSays) []listingRow {
	var spans [][2]int
	if sl.doc != nil {
		spans = sl.doc.Spans()
	}
	findings := sl.Findings
	faultLine := 0
	if sl.Fault != nil {
		faultLine = sl.Fault.Number
	}
	var out []listingRow
	start, number, told := 0, 0, 0
	for line := range strings.Lines(sl.text) {
		number++
		if number > maxListed {
			out = append(out, listingRow{Left: strings.Count(sl.text[start:], "\n") + 1})
			break
		}
		end := start + len(line)
		for told < len(spans) && spans[told][0] < end {
			out = append(out, listingRow{Says: &says[told]})
			told++
		}
		out = append(out, listingRow{Number: number, Pieces: pieces(sl.text, start, end, spans, says)})
		for len(findings) > 0 && findings[0].Line <= number {
			out = append(out, listingRow{Finding: &findings[0]})
			findings = findings[1:]
		}
		if number == faultLine {
			out = append(out, listingRow{Fault: sl.Fault})
		}
		start = end
	}
	return out
}

// pieces cuts text[start:end], a line, where statements begin and end.
func pieces(text string, start, end int, spans [][2]int, says []statementSays) []listingPiece {
	end = start + len(strings.TrimRight(text[start:end], "\r\n"))
	var out []listingPiece
	at := start
	add := func(to int, class string) {
		if to > at {
			out = append(out, listingPiece{class, text[at:to]})
			at = to
		}
	}
	first, _ := slices.BinarySearchFunc(spans, start, func(s [2]int, at int) int { return s[1] - at })
	for i := first; i < len(spans) && spans[i][0] < end; i++ {
		add(max(spans[i][0], start), "")
		// The blanks before a statement's first and later lines stay unmarked.
		if rest := text[at:end]; at > spans[i][0] {
			add(at+len(rest)-len(strings.TrimLeft(rest, " \t")), "")
		}
		add(min(spans[i][1], end), says[i].Mark.Class)
	}
	add(end, "")
	return out
}
