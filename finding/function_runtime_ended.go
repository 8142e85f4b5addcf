package finding

import "time"

var functionRuntimeEnded = Rule{
	ID: "function-runtime-ended", Title: "The runtime of the function behind the API is no longer mended", Severity: Medium, Area: Hygiene, Of: OfFunction,
	Looks: "The runtimes of the Lambda functions that APIs call, by the dates on which AWS deprecates them. A container image brings its own.",
	Why:   "A deprecated runtime gets no security fixes any more, and AWS does not help with what it breaks. After a while the function cannot be changed.",
	Mend: Mend{
		CLI:       "aws lambda update-function-configuration --region {region} --function-name {name} --runtime RUNTIME   # try the code with it first; for an alias publish a version",
		Terraform: "# in aws_lambda_function of {name}\nruntime = \"python3.14\" # or nodejs24.x, java25, dotnet10, ruby4.0, provided.al2023",
	},
	Peers: Peers{SecurityHub: []string{"Lambda.2"}, Prowler: []string{"awslambda_function_using_supported_runtimes"}, Checkov: []string{"CKV_AWS_363"}},
	needs: []Part{PartFunctionConfiguration},
	check: func(s *scene) Outcome {
		if s.function.Missing {
			return skipped("the function does not exist")
		}
		var ended, good, unknown []Evidence
		for i := range s.function.Versions {
			v := &s.function.Versions[i]
			if !v.Called || v.Package == "Image" || v.Runtime == "" {
				continue
			}
			end, known := runtimeEnds[v.Runtime]
			switch {
			case !known:
				unknown = append(unknown, fact("runtime of "+v.Name, v.Runtime+", which is not in the table of "+runtimesRead))
			case s.now.Before(end):
				good = append(good, fact("runtime of "+v.Name, v.Runtime+", until "+end.Format(time.DateOnly)))
			default:
				ended = append(ended, fact("runtime of "+v.Name, v.Runtime+", deprecated since "+end.Format(time.DateOnly)))
			}
		}
		switch {
		case len(ended) > 0:
			return failed(append(s.function.calledBy(), ended...)...)
		case len(unknown) > 0:
			return Outcome{NotSeen, unknown}
		case len(good) == 0:
			return skipped("no version that an API calls has a runtime of AWS's")
		}
		return passed(good...)
	},
}

func endsOn(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// runtimesRead is when the table was read.
const runtimesRead = "May 2026"

// runtimeEnds is when AWS deprecates a runtime, by the table in "Lambda runtimes" of
// the Lambda Developer Guide. AWS moves the dates now and then,
// and only to later ones so far.
var runtimeEnds = map[string]time.Time{
	"nodejs":          endsOn(2016, time.October, 31),
	"nodejs4.3":       endsOn(2020, time.March, 5),
	"nodejs4.3-edge":  endsOn(2020, time.March, 5),
	"nodejs6.10":      endsOn(2019, time.August, 12),
	"nodejs8.10":      endsOn(2020, time.March, 6),
	"nodejs10.x":      endsOn(2021, time.July, 30),
	"nodejs12.x":      endsOn(2023, time.March, 31),
	"nodejs14.x":      endsOn(2023, time.December, 4),
	"nodejs16.x":      endsOn(2024, time.June, 12),
	"nodejs18.x":      endsOn(2025, time.September, 1),
	"nodejs20.x":      endsOn(2026, time.April, 30),
	"nodejs22.x":      endsOn(2027, time.April, 30),
	"nodejs24.x":      endsOn(2028, time.April, 30),
	"python2.7":       endsOn(2021, time.July, 15),
	"python3.6":       endsOn(2022, time.July, 18),
	"python3.7":       endsOn(2023, time.December, 4),
	"python3.8":       endsOn(2024, time.October, 14),
	"python3.9":       endsOn(2025, time.December, 15),
	"python3.10":      endsOn(2026, time.October, 31),
	"python3.11":      endsOn(2027, time.June, 30),
	"python3.12":      endsOn(2028, time.October, 31),
	"python3.13":      endsOn(2029, time.June, 30),
	"python3.14":      endsOn(2029, time.June, 30),
	"java8":           endsOn(2024, time.January, 8),
	"java8.al2":       endsOn(2027, time.June, 30),
	"java11":          endsOn(2027, time.June, 30),
	"java17":          endsOn(2027, time.June, 30),
	"java21":          endsOn(2029, time.June, 30),
	"java25":          endsOn(2029, time.June, 30),
	"dotnetcore1.0":   endsOn(2019, time.July, 30),
	"dotnetcore2.0":   endsOn(2019, time.May, 30),
	"dotnetcore2.1":   endsOn(2022, time.January, 5),
	"dotnetcore3.1":   endsOn(2023, time.April, 3),
	"dotnet6":         endsOn(2024, time.December, 20),
	"dotnet8":         endsOn(2026, time.November, 10),
	"dotnet10":        endsOn(2028, time.November, 14),
	"ruby2.5":         endsOn(2021, time.July, 30),
	"ruby2.7":         endsOn(2023, time.December, 7),
	"ruby3.2":         endsOn(2026, time.March, 31),
	"ruby3.3":         endsOn(2027, time.March, 31),
	"ruby3.4":         endsOn(2028, time.March, 31),
	"ruby4.0":         endsOn(2029, time.March, 31),
	"go1.x":           endsOn(2024, time.January, 8),
	"provided":        endsOn(2024, time.January, 8),
	"provided.al2":    endsOn(2026, time.July, 31),
	"provided.al2023": endsOn(2029, time.June, 30),
}
