package estate

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/gatehouse-project/gatehouse/account"
)

const (
	// functionsAtMost is how many functions of a region are read in one discovery.
	// Lambda allows 15 such calls a second, so more would hold a discovery up for
	// minutes; the others' turn comes with the next ones.
	functionsAtMost = 300
	// functionsAtOnce is enough to use that at 300 ms a call.
	functionsAtOnce = 4
	// functionsTried is of how many functions a part is asked for while each is refused.
	// A role may be let read some functions and not others; where it may read none, not
	// every function of a region is asked for in every discovery.
	functionsTried = 20
)

var functionParts = []Part{PartFunctionConfiguration, PartFunctionPolicy, PartFunctionURLs}

// functions reads the functions that the region's APIs call and that are in the region
// itself. Those of other places are marked as not seen, and read when all regions are
// done. Lambda tells no time at which a policy changed: between two full discoveries
// only functions that are new, or called by a new version, are read.
func (r *regionReader) functions(ctx context.Context, apis []API) []Function {
	all := calledFunctions(apis)
	var own []*Function
	for i := range all {
		f := &all[i]
		if was := r.functionBefore(f); was != nil {
			all[i] = *was
			continue
		}
		if inAccount, inRegion := f.place(); inAccount != r.target.Account || inRegion != r.region {
			f.Unseen = slices.Clone(functionParts)
			continue
		}
		own = append(own, f)
	}
	r.readFunctions(ctx, own)
	return all
}

// functionBefore returns the function as it was at the last discovery, or nil if not
// all of it was seen or APIs call other versions now.
func (r *regionReader) functionBefore(f *Function) *Function {
	if r.before == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(r.before.Functions, f.ARN, func(was Function, arn string) int { return cmp.Compare(was.ARN, arn) })
	if !ok || len(r.before.Functions[i].Unseen) > 0 || !slices.Equal(r.before.Functions[i].called(), f.called()) {
		return nil
	}
	return &r.before.Functions[i]
}

// readFunctions reads functions of the reader's account and region, a few at once.
func (r *regionReader) readFunctions(ctx context.Context, list []*Function) {
	for _, f := range list[min(len(list), functionsAtMost):] {
		f.Unseen = slices.Clone(functionParts)
	}
	reader := &functionReader{regionReader: r, refused: map[Part]int{}, read: map[Part]bool{}}
	slots := make(chan struct{}, functionsAtOnce)
	var wg sync.WaitGroup
	for _, f := range list[:min(len(list), functionsAtMost)] {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			reader.function(ctx, f)
		})
	}
	wg.Wait()
}

// functionReader reads functions of one account and region.
type functionReader struct {
	*regionReader

	mu sync.Mutex
	// refused counts how often a part could not be read, and read has those that could
	// be read of a function.
	refused map[Part]int
	read    map[Part]bool
}

func (r *functionReader) function(ctx context.Context, f *Function) {
	for _, name := range f.called() {
		r.part(f, PartFunctionConfiguration, readFunctionConfiguration, func() error { return r.configuration(ctx, f, name) })
	}
	if f.Missing {
		return
	}
	f.version(latest)
	r.part(f, PartFunctionURLs, readFunctionURLs, func() error { return r.urls(ctx, f) })
	slices.SortFunc(f.Versions, func(a, b FunctionVersion) int { return cmp.Compare(a.Name, b.Name) })
	for i := range f.Versions {
		r.part(f, PartFunctionPolicy, readFunctionPolicy, func() error { return r.policy(ctx, f, &f.Versions[i]) })
	}
}

// part reads one part of a function, unless it was refused too often.
func (r *functionReader) part(f *Function, p Part, what read, do func() error) {
	r.mu.Lock()
	ask := r.read[p] || r.refused[p] < functionsTried
	r.mu.Unlock()
	if ask {
		err := do()
		r.mu.Lock()
		if err == nil {
			r.read[p] = true
		} else {
			r.refused[p]++
		}
		r.mu.Unlock()
		if err == nil {
			return
		}
		r.missed(what, err, "")
	}
	f.Unseen = mark(f.Unseen, p)
}

// qualifier is a version's name as Lambda's operations take it.
func qualifier(name string) *string {
	if name == latest {
		return nil
	}
	return aws.String(name)
}

func notThere(err error) bool {
	_, ok := errors.AsType[*types.ResourceNotFoundException](err)
	return ok
}

// configuration reads the runtime. Lambda answers the environment with it, which goes
// no further.
func (r *functionReader) configuration(ctx context.Context, f *Function, name string) error {
	out, err := r.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(f.ARN), Qualifier: qualifier(name)})
	if notThere(err) {
		f.Missing = true
		return nil
	}
	if err != nil {
		return err
	}
	v := f.version(name)
	v.Runtime, v.Package = string(out.Runtime), string(out.PackageType)
	return nil
}

// policy reads the resource policy of a version. Lambda answers "not found" where there
// is none.
func (r *functionReader) policy(ctx context.Context, f *Function, v *FunctionVersion) error {
	out, err := r.lambda.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: aws.String(f.ARN), Qualifier: qualifier(v.Name)})
	if notThere(err) {
		return nil
	}
	if err != nil {
		return err
	}
	v.Policy = aws.ToString(out.Policy)
	return nil
}

// urls reads the addresses of the function and of its aliases.
func (r *functionReader) urls(ctx context.Context, f *Function) error {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.FunctionUrlConfig, *string, error) {
		out, err := r.lambda.ListFunctionUrlConfigs(ctx, &lambda.ListFunctionUrlConfigsInput{FunctionName: aws.String(f.ARN), Marker: token})
		if err != nil {
			return nil, nil, err
		}
		return out.FunctionUrlConfigs, out.NextMarker, nil
	})
	if notThere(err) {
		err = nil
	}
	for i := range items {
		u := &items[i]
		_, name, ok := parseFunction(aws.ToString(u.FunctionArn))
		if !ok {
			name = latest
		}
		url := &FunctionURL{URL: aws.ToString(u.FunctionUrl), AuthType: string(u.AuthType)}
		if c := u.Cors; c != nil {
			url.CORS = &CORS{
				Origins: c.AllowOrigins, Methods: c.AllowMethods, Headers: c.AllowHeaders, Expose: c.ExposeHeaders,
				Credentials: aws.ToBool(c.AllowCredentials), MaxAge: aws.ToInt32(c.MaxAge),
			}
		}
		f.version(name).URL = url
	}
	return err
}

// foreignFunctions reads the functions that APIs call in another account or region
// than their own, each with the role of its account. Those of accounts that are not
// read stay marked as not seen, and it is said why.
func (d *Discoverer) foreignFunctions(ctx context.Context, s *Snapshot, targets []account.Target) {
	type foreign struct {
		in *Region // whose APIs call it
		f  *Function
	}
	places := map[[2]string][]foreign{}
	for i := range s.Accounts {
		for j := range s.Accounts[i].Regions {
			in := &s.Accounts[i].Regions[j]
			for k := range in.Functions {
				f := &in.Functions[k]
				if at, region := f.place(); (at != s.Accounts[i].ID || region != in.Name) && len(f.Unseen) > 0 {
					places[[2]string{at, region}] = append(places[[2]string{at, region}], foreign{in, f})
				}
			}
		}
	}
	var merge sync.Mutex // of what the readers say into the regions, which may be the same
	tell := func(list []foreign, faults, notes []Fault) {
		merge.Lock()
		defer merge.Unlock()
		for _, l := range list {
			for _, f := range faults {
				l.in.Errors = addFault(l.in.Errors, f)
			}
			for _, f := range notes {
				l.in.Notes = addFault(l.in.Notes, f)
			}
		}
	}
	slots := make(chan struct{}, d.concurrency)
	var wg sync.WaitGroup
	for at, list := range places {
		i := slices.IndexFunc(targets, func(t account.Target) bool { return t.Account == at[0] })
		if i < 0 {
			note := Fault{
				What: readFunctionPolicy.operation + " in account " + at[0], Error: "an API calls a function of account " + at[0] + ", which is not among the accounts that are read",
				Mend: "let Gatehouse read account " + at[0] + " too, with a role in it", Class: account.Invalid,
				Action: readFunctionPolicy.action, Resource: place{target: account.Target{Account: at[0]}, region: at[1]}.resource(readFunctionPolicy),
			}
			tell(list, nil, []Fault{note})
			continue
		}
		if ctx.Err() != nil {
			break
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r := &regionReader{place: place{target: targets[i], region: at[1]}, lambda: lambda.NewFromConfig(d.accounts.Config(targets[i], at[1]))}
			functions := make([]*Function, len(list))
			for j := range list {
				functions[j] = list[j].f
				functions[j].Unseen = nil
			}
			r.readFunctions(ctx, functions)
			tell(list, r.faults, r.notes)
		})
	}
	wg.Wait()
	for _, list := range places {
		for _, l := range list {
			sortFaults(l.in.Errors)
			sortFaults(l.in.Notes)
		}
	}
}
