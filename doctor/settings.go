package doctor

// BadSettings is the report of settings that cannot be used: nothing else can be
// checked then. Joined errors are a result each.
func BadSettings(err error) *Report {
	r := &Report{}
	for _, e := range split(err) {
		r.Results = append(r.Results, Result{Status: Fail, Check: checkSettings, What: e.Error(), Mend: mendOf(e)})
		r.Failures++
	}
	return r
}

// Settings are the results of settings that were accepted with remarks.
func Settings(notices []string) []Result {
	results := make([]Result, 0, 1+len(notices))
	results = append(results, Result{Status: OK, Check: checkSettings, What: "can be used"})
	for _, n := range notices {
		results = append(results, Result{Status: OK, Check: checkSettings, What: n})
	}
	return results
}
