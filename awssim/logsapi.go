package awssim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

const logsTarget = "Logs_20140328."

// logsOperations are the operations of CloudWatch Logs.
var logsOperations = map[string]operation{
	"CreateLogGroup":     {prepare: logsInput[createLogGroupInput], run: createLogGroup},
	"DeleteLogGroup":     {prepare: logsInput[logGroupInput], run: deleteLogGroup},
	"CreateLogStream":    {prepare: logsInput[logGroupInput], run: createLogStream},
	"PutRetentionPolicy": {prepare: logsInput[putRetentionPolicyInput], run: putRetentionPolicy},
	"PutLogEvents":       {prepare: logsInput[putLogEventsInput], run: putLogEvents},
	"DescribeLogGroups":  {prepare: logsInput[describeLogGroupsInput], run: describeLogGroups},
	"DescribeLogStreams": {prepare: logsInput[describeLogStreamsInput], run: describeLogStreams},
	"FilterLogEvents":    {prepare: logsInput[filterLogEventsInput], run: runFilterLogEvents},
	"GetLogEvents":       {prepare: logsInput[getLogEventsInput], run: runGetLogEvents},
}

func findLogs(x *exchange) (operation, error) {
	name := strings.TrimPrefix(x.r.Header.Get("X-Amz-Target"), logsTarget)
	op, ok := logsOperations[name]
	if !ok {
		op, ok = deliveryOperations[name]
	}
	if !ok {
		op, ok = logObjectOperations[name]
	}
	if !ok {
		op, ok = logChangeOperations[name]
	}
	if !ok {
		return operation{}, unknownOperation("logs:" + name)
	}
	op.name = name
	return op, nil
}

// groupNamed is an input that names a log group.
type groupNamed interface {
	groupRef() (name, identifier string)
}

// logsInput reads the input and finds out which group it is about.
func logsInput[T any](x *exchange) error {
	if err := decodeInto[T](x); err != nil {
		return err
	}
	x.call.Resource = "arn:" + x.sim.partition + ":logs:" + x.region + ":" + x.account.id + ":log-group:"
	if g, ok := x.input.(groupNamed); ok {
		name, identifier := g.groupRef()
		x.group = name
		if identifier != "" {
			x.group = groupOfIdentifier(identifier)
		}
	}
	x.call.Resource += x.group + ":log-stream:"
	return nil
}

// groupOfIdentifier is the name in a log group's name or ARN.
func groupOfIdentifier(identifier string) string {
	if !strings.HasPrefix(identifier, "arn:") {
		return identifier
	}
	part := strings.SplitN(identifier, ":", 7)
	if len(part) < 7 {
		return ""
	}
	return strings.TrimSuffix(part[6], ":*")
}

type logGroupInput struct {
	LogGroupName  string `json:"logGroupName"`
	LogStreamName string `json:"logStreamName"`
}

func (in *logGroupInput) groupRef() (name, identifier string) { return in.LogGroupName, "" }

// logGroupOf finds the group that the call is about. An ARN of another account
// or region is not found: nothing is shared between accounts here.
func (x *exchange) logGroupOf(name, identifier string) (*Logs, *logGroup, error) {
	if name != "" && identifier != "" {
		return nil, nil, invalid("LogGroup name and LogGroup ARN are mutually exclusive parameters.")
	}
	if name == "" && identifier == "" {
		return nil, nil, invalid("1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member must not be null")
	}
	r, err := x.reached()
	if err != nil {
		return nil, nil, err
	}
	if strings.HasPrefix(identifier, "arn:") {
		part := strings.SplitN(identifier, ":", 7)
		if len(part) < 7 || part[2] != "logs" || part[5] != "log-group" {
			return nil, nil, invalid("Invalid LogGroupIdentifier: %s", identifier)
		}
		if part[3] != x.region || part[4] != x.account.id {
			return nil, nil, groupNotFound()
		}
	}
	g := r.logs.group(x.group)
	if g == nil {
		return nil, nil, groupNotFound()
	}
	return r.logs, g, nil
}

func groupNotFound() *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "The specified log group does not exist."}
}

func streamNotFound() *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "The specified log stream does not exist."}
}

// checkName checks a name of 1 to 512 characters. Groups allow letters, digits
// and ._-/# alone, streams everything but : and *.
func checkName(field, name string, stream bool) error {
	if name == "" || len(name) > 512 {
		return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must have length between 1 and 512", name, field)
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-/#", c) >= 0
		if stream && (c == ':' || c == '*') || !stream && !letter {
			pattern := `[\.\-_/#A-Za-z0-9]+`
			if stream {
				pattern = `[^:*]*`
			}
			return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: %s", name, field, pattern)
		}
	}
	return nil
}

type createLogGroupInput struct {
	LogGroupName  string `json:"logGroupName"`
	LogGroupClass string `json:"logGroupClass"`
	KmsKeyID      string `json:"kmsKeyId"`

	Tags map[string]string `json:"tags"`
}

func (in *createLogGroupInput) groupRef() (name, identifier string) { return in.LogGroupName, "" }

func createLogGroup(x *exchange) error {
	in := input[createLogGroupInput](x)
	if err := checkName("logGroupName", in.LogGroupName, false); err != nil {
		return err
	}
	r, err := x.reached()
	if err != nil {
		return err
	}
	g, created := r.logs.create(in.LogGroupName, in.LogGroupClass)
	if !created {
		return &Error{Code: "ResourceAlreadyExistsException", Message: "The specified log group already exists"}
	}
	g.mu.Lock()
	g.kms, g.tags = in.KmsKeyID, in.Tags
	g.mu.Unlock()
	return x.answerJSON(struct{}{})
}

func deleteLogGroup(x *exchange) error {
	in := input[logGroupInput](x)
	l, _, err := x.logGroupOf(in.LogGroupName, "")
	if err != nil {
		return err
	}
	if !l.DeleteGroup(in.LogGroupName) {
		return groupNotFound()
	}
	return x.answerJSON(struct{}{})
}

func createLogStream(x *exchange) error {
	in := input[logGroupInput](x)
	l, g, err := x.logGroupOf(in.LogGroupName, "")
	if err != nil {
		return err
	}
	if err := checkName("logStreamName", in.LogStreamName, true); err != nil {
		return err
	}
	now := l.region.account.sim.now()
	g.mu.Lock()
	exists := g.streams[in.LogStreamName] != nil
	g.stream(in.LogStreamName, now)
	g.mu.Unlock()
	if exists {
		return &Error{Code: "ResourceAlreadyExistsException", Message: "The specified log stream already exists"}
	}
	return x.answerJSON(struct{}{})
}

var retentionDays = []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

type putRetentionPolicyInput struct {
	LogGroupName    string `json:"logGroupName"`
	RetentionInDays int32  `json:"retentionInDays"`
}

func (in *putRetentionPolicyInput) groupRef() (name, identifier string) { return in.LogGroupName, "" }

func putRetentionPolicy(x *exchange) error {
	in := input[putRetentionPolicyInput](x)
	if !slices.Contains(retentionDays, in.RetentionInDays) {
		return invalid("1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: %v", in.RetentionInDays, retentionDays)
	}
	l, _, err := x.logGroupOf(in.LogGroupName, "")
	if err != nil {
		return err
	}
	if !l.SetRetention(in.LogGroupName, in.RetentionInDays) {
		return groupNotFound()
	}
	return x.answerJSON(struct{}{})
}

// describeLimit is the page size of the describe operations.
func describeLimit(limit *int) (int, error) {
	if limit == nil {
		return 50, nil
	}
	if *limit < 1 {
		return 0, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1", *limit)
	}
	if *limit > 50 {
		return 0, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 50", *limit)
	}
	return *limit, nil
}

type describeLogGroupsInput struct {
	Prefix      string   `json:"logGroupNamePrefix"`
	Pattern     string   `json:"logGroupNamePattern"`
	Class       string   `json:"logGroupClass"`
	Identifiers []string `json:"logGroupIdentifiers"`
	NextToken   string   `json:"nextToken"`
	Limit       *int     `json:"limit"`
}

type logGroupJSON struct {
	LogGroupName      string `json:"logGroupName"`
	CreationTime      int64  `json:"creationTime"`
	RetentionInDays   int32  `json:"retentionInDays,omitempty"`
	MetricFilterCount int    `json:"metricFilterCount"`
	Arn               string `json:"arn"`
	LogGroupArn       string `json:"logGroupArn"`
	StoredBytes       int64  `json:"storedBytes"`
	KmsKeyID          string `json:"kmsKeyId,omitempty"`
	LogGroupClass     string `json:"logGroupClass"`

	DataProtectionStatus string `json:"dataProtectionStatus,omitempty"`
}

func describeLogGroups(x *exchange) error {
	in := input[describeLogGroupsInput](x)
	limit, err := describeLimit(in.Limit)
	if err != nil {
		return err
	}
	if in.Prefix != "" && in.Pattern != "" {
		return invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	r, err := x.reached()
	if err != nil {
		return err
	}
	kind := "DescribeLogGroups/" + in.Prefix + "/" + in.Pattern
	after := ""
	if in.NextToken != "" {
		var ok bool
		if after, ok = readPageToken(kind, in.NextToken); !ok {
			return invalid("The specified nextToken is invalid.")
		}
	}
	wanted := map[string]bool{}
	for _, id := range in.Identifiers {
		wanted[groupOfIdentifier(id)] = true
	}
	list, next := in.list(r, after, limit)
	if next != "" {
		next = pageToken(kind, next)
	}
	return x.answerJSON(struct {
		LogGroups []logGroupJSON `json:"logGroups"`
		NextToken string         `json:"nextToken,omitempty"`
	}{list, next})
}

// list gives at most limit groups whose names come after a name, and the last
// one's name if there are more.
func (in *describeLogGroupsInput) list(r *Region, after string, limit int) (list []logGroupJSON, next string) {
	wanted := map[string]bool{}
	for _, id := range in.Identifiers {
		wanted[groupOfIdentifier(id)] = true
	}
	l := r.logs
	l.mu.RLock()
	defer l.mu.RUnlock()
	from, _ := slices.BinarySearch(l.names, max(after, in.Prefix))
	list = []logGroupJSON{}
	for _, name := range l.names[from:] {
		if !strings.HasPrefix(name, in.Prefix) {
			break
		}
		g := l.groups[name]
		if after != "" && name == after || !strings.Contains(name, in.Pattern) ||
			in.Class != "" && in.Class != g.class || len(wanted) > 0 && !wanted[name] {
			continue
		}
		if len(list) == limit {
			return list, list[limit-1].LogGroupName
		}
		g.mu.RLock()
		arn := r.arn("logs", "log-group:"+name)
		list = append(list, logGroupJSON{
			LogGroupName: name, CreationTime: g.created, RetentionInDays: g.retention,
			Arn: arn + ":*", LogGroupArn: arn, StoredBytes: g.bytes, KmsKeyID: g.kms, LogGroupClass: g.class,
			MetricFilterCount: len(g.objects.metrics), DataProtectionStatus: g.objects.status(),
		})
		g.mu.RUnlock()
	}
	return list, ""
}

type describeLogStreamsInput struct {
	LogGroupName       string `json:"logGroupName"`
	LogGroupIdentifier string `json:"logGroupIdentifier"`
	Prefix             string `json:"logStreamNamePrefix"`
	OrderBy            string `json:"orderBy"`
	Descending         bool   `json:"descending"`
	NextToken          string `json:"nextToken"`
	Limit              *int   `json:"limit"`
}

func (in *describeLogStreamsInput) groupRef() (name, identifier string) {
	return in.LogGroupName, in.LogGroupIdentifier
}

const orderByTime = "LastEventTime"

type logStreamJSON struct {
	LogStreamName       string `json:"logStreamName"`
	CreationTime        int64  `json:"creationTime"`
	FirstEventTimestamp int64  `json:"firstEventTimestamp,omitempty"`
	LastEventTimestamp  int64  `json:"lastEventTimestamp,omitempty"`
	LastIngestionTime   int64  `json:"lastIngestionTime,omitempty"`
	UploadSequenceToken string `json:"uploadSequenceToken"`
	Arn                 string `json:"arn"`
	StoredBytes         int64  `json:"storedBytes"`
}

func describeLogStreams(x *exchange) error {
	in := input[describeLogStreamsInput](x)
	limit, err := describeLimit(in.Limit)
	if err != nil {
		return err
	}
	byTime := in.OrderBy == orderByTime
	if !byTime && in.OrderBy != "" && in.OrderBy != "LogStreamName" {
		return invalid("1 validation error detected: Value '%s' at 'orderBy' failed to satisfy constraint: Member must satisfy enum value set: [LogStreamName, LastEventTime]", in.OrderBy)
	}
	if byTime && in.Prefix != "" {
		return invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	l, g, err := x.logGroupOf(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return err
	}
	kind := "DescribeLogStreams/" + g.name + "/" + in.OrderBy + strconv.FormatBool(in.Descending) + "/" + in.Prefix
	var after *streamInfo
	if in.NextToken != "" {
		text, ok := readPageToken(kind, in.NextToken)
		ts, name, cut := strings.Cut(text, "/")
		last, err := strconv.ParseInt(ts, 10, 64)
		if !ok || !cut || err != nil {
			return invalid("The specified nextToken is invalid.")
		}
		after = &streamInfo{name: name, lastTime: last}
	}
	order := func(a, b *streamInfo) int {
		c := cmp.Compare(a.name, b.name)
		if byTime {
			c = cmp.Or(cmp.Compare(a.lastTime, b.lastTime), c)
		}
		if in.Descending {
			return -c
		}
		return c
	}
	streams, more := in.list(g, after, order, limit)
	next := ""
	if more {
		last := &streams[limit-1]
		next = pageToken(kind, strconv.FormatInt(last.lastTime, 10)+"/"+last.name)
	}
	list := make([]logStreamJSON, 0, len(streams))
	for i := range streams {
		s := &streams[i]
		list = append(list, logStreamJSON{
			LogStreamName: s.name, CreationTime: s.created, FirstEventTimestamp: s.firstTime,
			LastEventTimestamp: s.lastTime, LastIngestionTime: s.ingested,
			UploadSequenceToken: eventID(key{ts: s.ingested, seq: uint64(len(s.name))}),
			Arn:                 l.region.arn("logs", "log-group:"+g.name+":log-stream:"+s.name),
		})
	}
	return x.answerJSON(struct {
		LogStreams []logStreamJSON `json:"logStreams"`
		NextToken  string          `json:"nextToken,omitempty"`
	}{list, next})
}

// list gives copies of at most limit streams that come after one in the order,
// and whether there are more.
func (in *describeLogStreamsInput) list(g *logGroup, after *streamInfo, order func(a, b *streamInfo) int, limit int) (list []streamInfo, more bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	streams := make([]*streamInfo, 0, len(g.names))
	for _, name := range g.names {
		if s := &g.streams[name].streamInfo; strings.HasPrefix(name, in.Prefix) && (after == nil || order(s, after) > 0) {
			streams = append(streams, s)
		}
	}
	if in.OrderBy == orderByTime || in.Descending {
		slices.SortFunc(streams, order)
	}
	for _, s := range streams[:min(limit, len(streams))] {
		list = append(list, *s)
	}
	return list, len(streams) > limit
}
