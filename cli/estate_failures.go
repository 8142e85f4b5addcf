package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/estate"
)

// failureLines bounds how many places are named of one failure.
const failureLines = 5

// failure is one thing to mend, and where it was met.
type failure struct {
	mend    string // as it was told first
	general string // with a star for the account and the region
	what    string
	places  []string
}

// printFailures lists what could not be read, with what to change: first what hides
// calls, then what only the view of the configuration lacks.
func printFailures(w io.Writer, s *estate.Snapshot) {
	var failed, unseen failureList
	for i := range s.Accounts {
		a := &s.Accounts[i]
		if a.Note != "" {
			fmt.Fprintf(w, "note: %s\n", printable(fmt.Sprintf("account %s: %s", strings.TrimSpace(a.ID+" "+a.Name), a.Note)))
		}
		if a.Error != "" {
			failed.add(a, "", a.Error, a.Mend)
		}
		for _, f := range a.Errors {
			failed.add(a, "", f.What+": "+f.Error, f.Mend)
		}
		for _, f := range a.Notes {
			unseen.add(a, "", f.What+": "+f.Error, f.Mend)
		}
		for j := range a.Regions {
			for _, f := range a.Regions[j].Errors {
				failed.add(a, a.Regions[j].Name, f.What+": "+f.Error, f.Mend)
			}
			for _, f := range a.Regions[j].Notes {
				unseen.add(a, a.Regions[j].Name, f.What+": "+f.Error, f.Mend)
			}
		}
	}
	failed.print(w, "not everything could be read:")
	unseen.print(w, "not seen, and not needed to collect calls:")
}

// failureList joins failures with the same remedy: a missing permission is met in
// every region.
type failureList []*failure

func (l *failureList) add(a *estate.Account, region, what, mend string) {
	general := mend
	for _, name := range []string{a.ID, region} {
		if name != "" {
			general = strings.ReplaceAll(general, name, "*")
		}
	}
	i := slices.IndexFunc(*l, func(f *failure) bool { return f.general == general && (mend != "" || f.what == what) })
	if i < 0 {
		*l = append(*l, &failure{mend: mend, general: general, what: what})
		i = len(*l) - 1
	}
	where := strings.Join(strings.Fields(a.ID+" "+a.Name+" "+region), " ")
	if where == "" {
		where = "all accounts"
	}
	if f := (*l)[i]; !slices.Contains(f.places, where) {
		f.places = append(f.places, where)
	}
}

func (l *failureList) print(w io.Writer, title string) {
	if len(*l) == 0 {
		return
	}
	slices.SortStableFunc(*l, func(a, b *failure) int { return cmp.Compare(len(b.places), len(a.places)) })
	fmt.Fprintf(w, "\n%s\n", title)
	for _, f := range *l {
		shown := f.places
		if len(shown) > failureLines {
			shown = shown[:failureLines]
		}
		fmt.Fprintf(w, "  %s", printable(strings.Join(shown, ", ")))
		if more := len(f.places) - len(shown); more > 0 {
			fmt.Fprintf(w, " and %d more", more)
		}
		fmt.Fprintf(w, "\n    %s\n", printable(f.what))
		mend := f.mend
		if len(f.places) > 1 {
			mend = f.general
		}
		if mend != "" {
			fmt.Fprintf(w, "    hint: %s\n", printable(mend))
		}
	}
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// byteSize writes a number of bytes as people read it.
func byteSize(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, suffix := float64(n)/unit, 0
	for value >= unit && suffix < 4 {
		value /= unit
		suffix++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[suffix])
}
