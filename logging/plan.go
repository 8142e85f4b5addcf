package logging

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Command is what is done with the stages that are meant.
type Command string

// The commands that change something.
const (
	Enable  Command = "enable"
	Disable Command = "disable"
	Destroy Command = "destroy"
)

// State is what became of a change.
type State string

// The states of a change, and the outcomes in the journal.
const (
	Planned   State = "planned"
	Intended  State = "intended" // in the journal alone
	Done      State = "done"
	Unchanged State = "unchanged" // it was so already
	Left      State = "left"      // on purpose; Why says why
	Failed    State = "failed"
	Skipped   State = "skipped" // because another change failed
)

// Change is one setting with what is there and what shall be.
type Change struct {
	Key
	APIType transaction.APIType `json:"api_type,omitempty"`
	API     string              `json:"api,omitempty"`
	APIName string              `json:"api_name,omitempty"`
	Stage   string              `json:"stage,omitempty"`
	Now     string              `json:"now"`
	Then    string              `json:"then"`
	State   State               `json:"state"`
	// Why says why it was left, failed or skipped.
	Why  string `json:"why,omitempty"`
	Mend string `json:"mend,omitempty"`

	needs []Key // that must not have failed or been left
	// loggedBefore is what Record.LoggedBefore will be.
	loggedBefore []string
	force        bool // although somebody changed it since
}

// Note is something that the reader of a plan should know.
type Note struct {
	Key
	APIName string `json:"api_name,omitempty"`
	Text    string `json:"text"`
}

// Failure is an account, region or API that could not be read.
type Failure struct {
	Account string `json:"account"`
	Region  string `json:"region,omitempty"`
	What    string `json:"what"`
	Error   string `json:"error"`
	Mend    string `json:"mend,omitempty"`
}

// Plan is what a command will do. Its changes are in the order of their keys.
type Plan struct {
	Command  Command   `json:"command"`
	Changes  []*Change `json:"changes"`
	Notes    []Note    `json:"notes"`
	Failures []Failure `json:"failures"`
	Stages   int       `json:"stages"` // that are meant
	// Kept are the stages that are meant and of which nothing is changed.
	Kept     []Kept    `json:"kept,omitempty"`
	Estimate *Estimate `json:"estimate,omitempty"`
	Pace     Pace      `json:"pace"`

	request Request
	digest  string
}

// Kept is a stage that is meant and stays as it is.
type Kept struct {
	Account string              `json:"account"`
	Region  string              `json:"region"`
	API     string              `json:"api"`
	APIName string              `json:"api_name,omitempty"`
	APIType transaction.APIType `json:"api_type"`
	Stage   string              `json:"stage"`
	Why     string              `json:"why"`
}

// Count counts the changes in a state.
func (p *Plan) Count(s State) int {
	n := 0
	for _, c := range p.Changes {
		if c.State == s {
			n++
		}
	}
	return n
}

// DefaultRole is the name of the IAM role that is made where an account has none
// for API Gateway.
const DefaultRole = "GatehouseAPIGatewayLogs"

// EnableOptions say what is switched on. The zero value is of no use: begin with
// DefaultEnable.
type EnableOptions struct {
	Choice
	// DataTrace logs headers and bodies in execution logs.
	DataTrace bool `json:"data_trace,omitempty"`
	// Role is the name of the IAM role to make for accounts without one, or the ARN
	// of one that is there.
	Role string `json:"role,omitempty"`
	// RetentionDays is how long log groups that are made keep events; 0: for ever.
	RetentionDays int32 `json:"retention_days,omitempty"`
	// KMSKey is the ARN of the key of log groups that are made; empty: none.
	KMSKey string `json:"kms_key,omitempty"`
	// HTTPGroup is one log group for the access logs of all HTTP APIs of an account
	// and region; empty: one for each stage. HTTPGroupExists means that it is not
	// made.
	HTTPGroup       string `json:"http_group,omitempty"`
	HTTPGroupExists bool   `json:"http_group_exists,omitempty"`
	// ReplaceFormat sets the format also where access logs are written in another.
	ReplaceFormat bool `json:"replace_format,omitempty"`
	// Delivery delivers execution logs of REST APIs with lines of up to 1 MB too.
	Delivery bool `json:"delivery,omitempty"`
}

// DefaultEnable are the options when nothing is said.
func DefaultEnable() EnableOptions {
	return EnableOptions{DataTrace: true, Role: DefaultRole, RetentionDays: 30}
}

// Retentions are the days that CloudWatch Logs keeps events for; 0 is for ever.
func Retentions() []int32 { return slices.Clone(retentions) }

// retentions are the days that CloudWatch Logs takes.
var retentions = []int32{0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// Check refuses options that can never work.
func (o *EnableOptions) Check() error {
	if !slices.Contains(retentions, o.RetentionDays) {
		return fmt.Errorf("retention %d: CloudWatch Logs takes %s days, or 0 for ever", o.RetentionDays, strings.Trim(strings.ReplaceAll(fmt.Sprint(retentions[1:]), " ", ", "), "[]"))
	}
	if o.KMSKey != "" && (!strings.HasPrefix(o.KMSKey, "arn:") || !strings.Contains(o.KMSKey, ":kms:")) {
		return fmt.Errorf("key %q: CloudWatch Logs wants the ARN of a KMS key", o.KMSKey)
	}
	if o.Role == "" || !strings.HasPrefix(o.Role, "arn:") && strings.Trim(o.Role, roleLetters) != "" || len(o.Role) > 2048 {
		return fmt.Errorf("role %q is neither the name nor the ARN of an IAM role", o.Role)
	}
	if o.HTTPGroupExists && o.HTTPGroup == "" {
		return errors.New("a log group of HTTP APIs that exists needs its name")
	}
	if o.HTTPGroup != "" && (len(o.HTTPGroup) > 512 || strings.Trim(o.HTTPGroup, groupLetters) != "") {
		return fmt.Errorf("log group %q: a name has 1 to 512 letters, digits and ._-/#", o.HTTPGroup)
	}
	return o.Choice.Check()
}

const (
	alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	roleLetters  = alphanumeric + "+=,.@_-"
	groupLetters = alphanumeric + "._-/#"
)

// Check refuses patterns that are none.
func (c *Choice) Check() error {
	for _, p := range slices.Concat(c.Names, c.Stages) {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("pattern %q: a bracket is not closed", p)
		}
	}
	return nil
}

// planner collects the changes of a plan.
type planner struct {
	plan    *Plan
	records map[Key]*Record
	changes map[Key]*Change
	meant   []*position
}

// mean notes that a stage is meant.
func (p *planner) mean(at *position) {
	p.plan.Stages++
	p.meant = append(p.meant, at)
}

// keep tells which stages that are meant stay as they are, and why.
func (p *planner) keep(why string) {
	changed := map[Key]bool{}
	for k, c := range p.changes {
		if c.API != "" {
			changed[Key{Account: k.Account, Region: k.Region, Subject: c.API + "/" + c.Stage}] = true
		}
	}
	for _, at := range p.meant {
		if k := at.key("", ""); !changed[k] {
			p.plan.Kept = append(p.plan.Kept, Kept{
				Account: k.Account, Region: k.Region, API: at.api.ID, APIName: at.api.Name, APIType: at.api.Type, Stage: at.stage.Name, Why: why,
			})
		}
	}
}

func newPlanner(c Command, records map[Key]*Record) *planner {
	return &planner{
		plan:    &Plan{Command: c, Changes: []*Change{}, Notes: []Note{}, Failures: []Failure{}},
		records: records, changes: map[Key]*Change{},
	}
}

// add adds a change, once for each key. A setting that is as it shall be is one
// only where its record is not finished.
func (p *planner) add(c *Change) {
	if p.changes[c.Key] != nil {
		return
	}
	if r := p.records[c.Key]; same(c.Kind, c.Now, c.Then) && (r == nil || r.Done) {
		return
	}
	c.State = Planned
	p.changes[c.Key] = c
}

func (p *planner) note(k Key, name, format string, args ...any) {
	p.plan.Notes = append(p.plan.Notes, Note{Key: k, APIName: name, Text: fmt.Sprintf(format, args...)})
}

func (p *planner) finish() *Plan {
	for _, c := range p.changes {
		p.plan.Changes = append(p.plan.Changes, c)
	}
	slices.SortFunc(p.plan.Changes, func(a, b *Change) int { return compareKeys(a.Key, b.Key) })
	slices.SortStableFunc(p.plan.Notes, func(a, b Note) int { return compareKeys(a.Key, b.Key) })
	return p.plan
}

// needed are the reads without which a stage may be missing from a snapshot or
// shown wrong.
var needed = []string{
	"apigateway:GetRestApis", "apigateway:GetStages", "apigatewayv2:GetApis", "apigatewayv2:GetStages", "apigateway:GetAccount", "logs:DescribeLogGroups",
}

// unread tells of the accounts and regions that could not be read.
func (p *planner) unread(s *estate.Snapshot, c *Choice) {
	fail := func(f Failure) { p.plan.Failures = append(p.plan.Failures, f) }
	p.unknown(s, c)
	for i := range s.Accounts {
		a := &s.Accounts[i]
		if !c.place(a.ID, "") && a.ID != "" {
			continue
		}
		if a.Error != "" {
			fail(Failure{Account: a.ID, What: "account", Error: a.Error, Mend: a.Mend})
		}
		for _, f := range a.Errors {
			fail(Failure{Account: a.ID, What: f.What, Error: f.Error, Mend: f.Mend})
		}
		for j := range a.Regions {
			r := &a.Regions[j]
			if !c.place(a.ID, r.Name) {
				continue
			}
			for _, f := range r.Errors {
				what, _, _ := strings.Cut(f.What, " ")
				if slices.Contains(needed, what) {
					fail(Failure{Account: a.ID, Region: r.Name, What: f.What, Error: f.Error, Mend: f.Mend})
				}
			}
		}
	}
}

// unknown tells of accounts and regions that were asked for by name and are not read,
// and of APIs and stages that nobody found: whoever mistypes one must not think that
// it was switched.
func (p *planner) unknown(s *estate.Snapshot, c *Choice) {
	accounts, regions, found := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range s.Accounts {
		accounts[s.Accounts[i].ID] = true
		for j := range s.Accounts[i].Regions {
			regions[s.Accounts[i].Regions[j].Name] = true
		}
	}
	each(s, func(at *position) { found[at.api.ID], found[at.api.ID+"/"+at.stage.Name] = true, true })
	for _, id := range c.Accounts {
		if !accounts[id] {
			p.plan.Failures = append(p.plan.Failures, Failure{
				Account: id, What: "account", Error: "it is not among the accounts that are read",
				Mend: "give a role in it with --role-arn (role_arns), or read the organization with --organization",
			})
		}
	}
	for _, name := range c.Regions {
		if !regions[name] {
			p.plan.Failures = append(p.plan.Failures, Failure{
				Region: name, What: "region", Error: "it is not among the regions that are read", Mend: "add it to --region (regions)",
			})
		}
	}
	for _, api := range c.APIs {
		if !found[api] && p.plan.Command == Enable {
			p.note(Key{Subject: api}, "", "no such API or stage was found")
		}
	}
}

// planEnable decides what to switch on, from what is there and what is recorded. It
// calls nothing.
func planEnable(s *estate.Snapshot, records map[Key]*Record, o *EnableOptions) *Plan {
	p := newPlanner(Enable, records)
	p.unread(s, &o.Choice)
	o.stages(s, func(at *position) {
		p.mean(at)
		p.enableStage(at, o)
	})
	p.keep("it logs all that was asked for already")
	return p.finish()
}

func (p *planner) change(at *position, k Key, now, then string) *Change {
	c := &Change{Key: k, APIType: at.api.Type, API: at.api.ID, APIName: at.api.Name, Stage: at.stage.Name, Now: now, Then: then}
	p.add(c)
	return c
}

func (p *planner) enableStage(at *position, o *EnableOptions) {
	var wanted []*Change // that must have the groups and the role
	want := func(k Key, now, then string) {
		before := len(p.changes)
		if c := p.change(at, k, now, then); len(p.changes) > before {
			wanted = append(wanted, c)
		}
	}
	then := executionValue("INFO", o.DataTrace)
	keys, values := at.executions()
	execution := false
	for i, k := range keys {
		if values[i] == full && then != full {
			continue // more than what was asked for, and somebody's choice
		}
		execution = execution || values[i] != then
		want(k, values[i], then)
	}
	var groups []Key
	if execution {
		groups = append(groups, p.group(at, at.executionGroup(), true, o))
	}
	access, group := p.access(at, o)
	p.readable(at, access)
	if access != at.access() || p.records[at.key(KindAccess, "")] != nil {
		want(at.key(KindAccess, ""), at.access(), access)
		if group != "" && access != at.access() {
			groups = append(groups, p.group(at, group, group != o.HTTPGroup || at.api.Type != transaction.HTTP, o))
		}
	}
	if o.Delivery && at.api.Type == transaction.REST {
		if c := p.delivery(at, o); c != nil {
			wanted = append(wanted, c)
			groups = append(groups, p.group(at, groupOrARN(c.Then), true, o))
		}
	}
	if len(wanted) == 0 {
		return
	}
	if at.stage.Canary != nil {
		p.note(at.key(KindExecution, ""), at.api.Name, "the stage has a canary: calls to it are logged to groups of the same names with %s at the end, which API Gateway makes and which keep them for ever", transaction.CanarySuffix)
	}
	var role []Key
	if at.api.Type != transaction.HTTP {
		role = p.role(at, o)
	}
	for _, c := range wanted {
		c.needs = append(slices.Clone(groups), role...)
	}
}

// access is what a stage's access logging shall be, and the log group that this
// needs; empty: none that may have to be made.
func (p *planner) access(at *position, o *EnableOptions) (value, group string) {
	have := accessLog{at.stage.AccessLogARN, at.stage.AccessFormat}
	k := at.key(KindAccess, "")
	format := Format(at.api.Type)
	own := p.records[k] != nil && p.records[k].ours(have.value())
	switch {
	case have == (accessLog{}):
		group = accessGroups + at.api.ID + "/" + strings.Trim(at.stage.Name, "$")
		if at.api.Type == transaction.HTTP && o.HTTPGroup != "" {
			group = o.HTTPGroup
		}
		return accessLog{at.groupARN(group), format}.value(), group
	case own || o.ReplaceFormat:
		return accessLog{have.Destination, format}.value(), ""
	}
	if !identifies(have.Format) {
		p.note(k, at.api.Name, "the access-log format names no request ID, so its lines cannot be joined with anything: --replace-format sets one that does")
	} else if have.Format != format {
		p.note(k, at.api.Name, "access logs go to %s already, in a format of their own, which stays: --replace-format sets Gatehouse's", groupOrARN(have.Destination))
	}
	return have.value(), ""
}

// group makes sure that a log group exists. A group that exists stays as it is.
func (p *planner) group(at *position, name string, ownedByStage bool, o *EnableOptions) Key {
	k := Key{Account: at.account.ID, Region: at.region.Name, Kind: KindGroup, Subject: name}
	i := slices.IndexFunc(at.region.LogGroups, func(g estate.LogGroup) bool { return g.Name == name })
	r := p.records[k]
	if i >= 0 && (r == nil || r.Done) || o.HTTPGroupExists && name == o.HTTPGroup {
		return k
	}
	c := &Change{Key: k, APIType: at.api.Type, Then: groupValue(true, o.RetentionDays, o.KMSKey)}
	if ownedByStage {
		c.API, c.APIName, c.Stage = at.api.ID, at.api.Name, at.stage.Name
	}
	if i >= 0 {
		g := &at.region.LogGroups[i]
		c.Now = groupValue(true, g.RetentionDays, g.KMSKey)
	}
	p.add(c)
	return k
}

// readable tells of log groups that a stage writes to and that nobody can collect from.
func (p *planner) readable(at *position, access string) {
	for _, name := range []string{at.executionGroup(), groupOrARN(parseAccess(access).Destination)} {
		i := slices.IndexFunc(at.region.LogGroups, func(g estate.LogGroup) bool { return g.Name == name })
		if i < 0 || name == "" {
			continue
		}
		if class := at.region.LogGroups[i].Class; class != "" && class != "STANDARD" {
			k := Key{Account: at.account.ID, Region: at.region.Name, Kind: KindGroup, Subject: name}
			if !slices.ContainsFunc(p.plan.Notes, func(n Note) bool { return n.Key == k }) {
				p.note(k, at.api.Name, "the log group is there already in the class %s, which cannot be changed and whose events cannot be collected: delete the group, or read it in CloudWatch alone", class)
			}
		}
	}
}

func groupValue(ours bool, days int32, key string) string {
	owner := others
	if ours {
		owner = made
	}
	return owner + ";" + strconv.Itoa(int(days)) + ";" + key
}

// executionLogs is the type of 1 MB execution logs. Best evidence: AWS announces the
// feature without the name in the texts that were at hand.
const executionLogs = "EXECUTION_LOGS"

// delivery plans the delivery of execution logs with long lines; nil if there is one.
func (p *planner) delivery(at *position, o *EnableOptions) *Change {
	k := at.key(KindDelivery, "")
	r := p.records[k]
	name := deliveryGroups + at.api.ID + "/" + at.stage.Name
	for _, d := range at.stage.Deliveries {
		if d.LogType == executionLogs && (r == nil || r.Done) {
			return nil
		}
	}
	now := ""
	if r != nil && !r.Done {
		now = unfinished
	}
	before := len(p.changes)
	c := p.change(at, k, now, at.groupARN(name))
	if len(p.changes) == before {
		return nil
	}
	return c
}

// role makes sure that the account has a role for API Gateway in the region.
func (p *planner) role(at *position, o *EnableOptions) []Key {
	k := Key{Account: at.account.ID, Region: at.region.Name, Kind: KindAccount}
	r := p.records[k]
	if at.region.LogRole != "" && (r == nil || r.Done) {
		return nil
	}
	then := o.Role
	var needs []Key
	if !strings.HasPrefix(o.Role, "arn:") {
		then = "arn:" + account.PartitionOf(at.region.Name) + ":iam::" + at.account.ID + ":role/" + o.Role
		role := Key{Account: at.account.ID, Kind: KindRole, Subject: o.Role}
		p.add(&Change{Key: role, Then: made})
		needs = append(needs, role)
	}
	c := &Change{Key: k, Now: at.region.LogRole, Then: then, needs: needs}
	if at.region.LogRole == "" {
		c.loggedBefore = at.logging()
	}
	p.add(c)
	return []Key{k}
}

// partOf is the key of a method's or route's settings, as API Gateway writes it.
func partOf(t transaction.APIType, m *estate.MethodSettings) string {
	if t != transaction.REST {
		return m.Path
	}
	escaped := strings.ReplaceAll(strings.ReplaceAll(m.Path, "~", "~0"), "/", "~1")
	return escaped + "/" + cmp.Or(m.Method, "*")
}

func groupARN(accountID, region, name string) string {
	return "arn:" + account.PartitionOf(region) + ":logs:" + region + ":" + accountID + ":log-group:" + name
}
