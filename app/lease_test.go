package app

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// A lease is taken over at once only from a process that certainly lived here and
// is no more. With a store that several machines share, a name alone says nothing.
func TestLeaseOfTheDead(t *testing.T) {
	t.Parallel()
	ours := newLease(nil, nil)
	here, _, _ := strings.Cut(ours.holder, "/")
	other, _, _ := strings.Cut(here, "~")
	past := exec.CommandContext(t.Context(), "true")
	if err := past.Run(); err != nil {
		t.Fatal(err)
	}
	dead, alive := strconv.Itoa(past.Process.Pid), strconv.Itoa(os.Getppid())
	for holder, want := range map[string]bool{
		here + "/" + dead + "/AAAAAAAA":                      true,
		here + "/" + alive + "/AAAAAAAA":                     false,
		here + "/" + strconv.Itoa(os.Getpid()) + "/AAAAAAAA": true, // one before us
		ours.holder: false,
		other + "~00000000/" + dead + "/AAAAAAAA": false, // another machine of the same name
		"elsewhere/" + dead + "/AAAAAAAA":         false,
		here + "/none/AAAAAAAA":                   false,
		here + "/-1/AAAAAAAA":                     false,
		"":                                        false,
	} {
		if got := ours.died(holder); got != want {
			t.Errorf("%s: taken for dead is %t, want %t", holder, got, want)
		}
	}
}
