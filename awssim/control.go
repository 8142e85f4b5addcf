package awssim

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// controlPath is where Options.Control serves the fault script and the
// counters:
//
//	GET    /_awssim/faults      the script
//	POST   /_awssim/faults      inject one Fault; answers {"id": N}
//	DELETE /_awssim/faults      clear the script
//	DELETE /_awssim/faults/N    remove one
//	GET    /_awssim/calls       the counters
//	DELETE /_awssim/calls       reset them
const controlPath = "/_awssim/"

func (s *Sim) control(w http.ResponseWriter, r *http.Request) {
	what, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, controlPath), "/")
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // a client that has gone is no concern of ours
	}
	refuse := func(status int, text string) { answer(status, map[string]string{"message": text}) }
	switch what + " " + r.Method {
	case "faults GET":
		answer(http.StatusOK, s.Faults())
	case "faults POST":
		var f Fault
		d := json.NewDecoder(io.LimitReader(r.Body, 1<<16))
		if err := d.Decode(&f); err != nil {
			refuse(http.StatusBadRequest, "the fault is not understood: "+err.Error())
			return
		}
		if !slices.Contains(faultKinds, f.Kind) {
			refuse(http.StatusBadRequest, "unknown fault kind "+strconv.Quote(string(f.Kind)))
			return
		}
		answer(http.StatusCreated, map[string]int{"id": s.Inject(f)})
	case "faults DELETE":
		if id == "" {
			s.ClearFaults()
			answer(http.StatusOK, s.Faults())
			return
		}
		if n, err := strconv.Atoi(id); err != nil || !s.RemoveFault(n) {
			refuse(http.StatusNotFound, "there is no fault "+strconv.Quote(id))
			return
		}
		answer(http.StatusOK, s.Faults())
	case "calls GET":
		answer(http.StatusOK, s.Calls())
	case "calls DELETE":
		s.ResetCalls()
		answer(http.StatusOK, s.Calls())
	default:
		refuse(http.StatusNotFound, "awssim controls faults and calls: GET, POST or DELETE "+controlPath+"faults, GET or DELETE "+controlPath+"calls")
	}
}
