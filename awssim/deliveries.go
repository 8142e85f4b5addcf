package awssim

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Delivery is a delivery of a stage's logs to a log group: what a source, a
// destination and the delivery between them say together.
type Delivery struct {
	// API and Stage are of a REST API.
	API, Stage string
	// LogType is the kind of log. Best evidence: AWS names the type of 1 MB
	// execution logs EXECUTION_LOGS.
	LogType string
	// Group is the log group. Destination stands in its place where the logs go
	// to something else: the ARN of a bucket or a stream.
	Group       string
	Destination string
}

// deliveries are the delivery sources, destinations and deliveries of one account
// and region. Its lock is a leaf.
type deliveries struct {
	mu           sync.Mutex
	sources      map[string]*deliverySource
	destinations map[string]*deliveryDestination
	deliveries   map[string]*delivery // by id
	next         uint64
}

type deliverySource struct {
	Name         string            `json:"name"`
	Arn          string            `json:"arn"`
	ResourceArns []string          `json:"resourceArns"`
	Service      string            `json:"service"`
	LogType      string            `json:"logType"`
	Tags         map[string]string `json:"tags,omitempty"`
}

type deliveryDestination struct {
	Name          string            `json:"name"`
	Arn           string            `json:"arn"`
	Type          string            `json:"deliveryDestinationType"`
	OutputFormat  string            `json:"outputFormat,omitempty"`
	Configuration destinationConfig `json:"deliveryDestinationConfiguration"`
	Tags          map[string]string `json:"tags,omitempty"`
}

type destinationConfig struct {
	DestinationResourceArn string `json:"destinationResourceArn"`
}

type delivery struct {
	ID              string            `json:"id"`
	Arn             string            `json:"arn"`
	SourceName      string            `json:"deliverySourceName"`
	DestinationArn  string            `json:"deliveryDestinationArn"`
	DestinationType string            `json:"deliveryDestinationType"`
	RecordFields    []string          `json:"recordFields,omitempty"`
	FieldDelimiter  string            `json:"fieldDelimiter,omitempty"`
	Tags            map[string]string `json:"tags,omitempty"`
}

// deliveryOperations are the operations of CloudWatch Logs about deliveries.
var deliveryOperations = map[string]operation{
	"PutDeliverySource":            {prepare: deliveryInput[putDeliverySourceInput], run: putDeliverySource},
	"PutDeliveryDestination":       {prepare: deliveryInput[putDeliveryDestinationInput], run: putDeliveryDestination},
	"CreateDelivery":               {prepare: deliveryInput[createDeliveryInput], run: createDelivery},
	"DeleteDelivery":               {prepare: deliveryInput[deliveryIDInput], run: deleteDelivery},
	"DeleteDeliverySource":         {prepare: deliveryInput[deliveryNameInput], run: deleteDeliverySource},
	"DeleteDeliveryDestination":    {prepare: deliveryInput[deliveryNameInput], run: deleteDeliveryDestination},
	"DescribeDeliveries":           {prepare: deliveryInput[describeDeliveriesInput], run: describeDeliveries},
	"DescribeDeliverySources":      {prepare: deliveryInput[describeDeliveriesInput], run: describeDeliverySources},
	"DescribeDeliveryDestinations": {prepare: deliveryInput[describeDeliveriesInput], run: describeDeliveryDestinations},
}

// deliveryInput reads the input. The resource of all of them is any delivery's.
func deliveryInput[T any](x *exchange) error {
	if err := decodeInto[T](x); err != nil {
		return err
	}
	x.call.Resource = "arn:" + x.sim.partition + ":logs:" + x.region + ":" + x.account.id + ":delivery:*"
	return nil
}

// AddDelivery delivers the logs of a stage, as if a source, a destination and a
// delivery had been made by their calls. It returns the delivery's id.
func (l *Logs) AddDelivery(d Delivery) string {
	b := &l.deliveries
	b.mu.Lock()
	defer b.mu.Unlock()
	name := strings.ReplaceAll(d.API+"-"+d.Stage+"-"+d.LogType, "$", "")
	stage := "arn:" + l.region.account.sim.partition + ":apigateway:" + l.region.name + "::/restapis/" + d.API + "/stages/" + d.Stage
	source := b.source(l.region, name, d.LogType, stage)
	target := d.Destination
	if target == "" {
		target = l.region.arn("logs", "log-group:"+d.Group)
	}
	destination := b.destination(l.region, name, "json", target)
	return b.deliver(l.region, source.Name, destination).ID
}

func (b *deliveries) source(r *Region, name, logType, resource string) *deliverySource {
	s := &deliverySource{
		Name: name, Arn: r.arn("logs", "delivery-source:"+name), ResourceArns: []string{resource}, Service: "apigateway", LogType: logType,
	}
	if b.sources == nil {
		b.sources = map[string]*deliverySource{}
	}
	b.sources[name] = s
	return s
}

func (b *deliveries) destination(r *Region, name, format, target string) *deliveryDestination {
	kind := "CWL"
	switch {
	case strings.Contains(target, ":s3:"):
		kind = "S3"
	case strings.Contains(target, ":firehose:"):
		kind = "FH"
	}
	d := &deliveryDestination{
		Name: name, Arn: r.arn("logs", "delivery-destination:"+name), Type: kind, OutputFormat: format,
		Configuration: destinationConfig{target},
	}
	if b.destinations == nil {
		b.destinations = map[string]*deliveryDestination{}
	}
	b.destinations[name] = d
	return d
}

func (b *deliveries) deliver(r *Region, source string, to *deliveryDestination) *delivery {
	b.next++
	id := strings.ToLower(eventID(key{ts: int64(b.next), seq: b.next}))
	id = "d" + id[len(id)-15:]
	d := &delivery{
		ID: id, Arn: r.arn("logs", "delivery:"+id), SourceName: source, DestinationArn: to.Arn, DestinationType: to.Type,
	}
	if b.deliveries == nil {
		b.deliveries = map[string]*delivery{}
	}
	b.deliveries[id] = d
	return d
}

type putDeliverySourceInput struct {
	Name        string            `json:"name"`
	ResourceArn string            `json:"resourceArn"`
	LogType     string            `json:"logType"`
	Tags        map[string]string `json:"tags"`
}

func putDeliverySource(x *exchange) error {
	in := input[putDeliverySourceInput](x)
	if err := checkDeliveryName(in.Name); err != nil {
		return err
	}
	if !strings.Contains(in.ResourceArn, ":apigateway:") || in.LogType == "" {
		return &Error{Code: "ValidationException", Message: "This resource or log type is not allowed for this LogSource."}
	}
	r, err := x.reached()
	if err != nil {
		return err
	}
	b := &r.logs.deliveries
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.source(r, in.Name, in.LogType, in.ResourceArn)
	s.Tags = in.Tags
	return x.answerJSON(struct {
		DeliverySource *deliverySource `json:"deliverySource"`
	}{s})
}

type putDeliveryDestinationInput struct {
	Name          string            `json:"name"`
	OutputFormat  string            `json:"outputFormat"`
	Configuration destinationConfig `json:"deliveryDestinationConfiguration"`
	Tags          map[string]string `json:"tags"`
}

func putDeliveryDestination(x *exchange) error {
	in := input[putDeliveryDestinationInput](x)
	if err := checkDeliveryName(in.Name); err != nil {
		return err
	}
	if !strings.HasPrefix(in.Configuration.DestinationResourceArn, "arn:") {
		return &Error{Code: "ValidationException", Message: "DeliveryDestinationConfiguration is missing or not an ARN."}
	}
	r, err := x.reached()
	if err != nil {
		return err
	}
	b := &r.logs.deliveries
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.destination(r, in.Name, in.OutputFormat, in.Configuration.DestinationResourceArn)
	d.Tags = in.Tags
	return x.answerJSON(struct {
		DeliveryDestination *deliveryDestination `json:"deliveryDestination"`
	}{d})
}

func checkDeliveryName(name string) error {
	if name == "" || len(name) > 60 {
		return &Error{Code: "ValidationException", Message: "Value '" + name + "' at 'name' failed to satisfy constraint: Member must have length between 1 and 60"}
	}
	return nil
}

type createDeliveryInput struct {
	SourceName     string            `json:"deliverySourceName"`
	DestinationArn string            `json:"deliveryDestinationArn"`
	RecordFields   []string          `json:"recordFields"`
	FieldDelimiter string            `json:"fieldDelimiter"`
	Tags           map[string]string `json:"tags"`
}

func createDelivery(x *exchange) error {
	in := input[createDeliveryInput](x)
	r, err := x.reached()
	if err != nil {
		return err
	}
	b := &r.logs.deliveries
	b.mu.Lock()
	defer b.mu.Unlock()
	var to *deliveryDestination
	for d := range maps.Values(b.destinations) {
		if d.Arn == in.DestinationArn {
			to = d
		}
	}
	if b.sources[in.SourceName] == nil || to == nil {
		return deliveryNotFound()
	}
	for d := range maps.Values(b.deliveries) {
		if d.SourceName == in.SourceName && d.DestinationArn == in.DestinationArn {
			return &Error{Code: "ConflictException", Message: "Delivery already exists"}
		}
	}
	d := b.deliver(r, in.SourceName, to)
	d.RecordFields, d.FieldDelimiter, d.Tags = in.RecordFields, in.FieldDelimiter, in.Tags
	return x.answerJSON(struct {
		Delivery *delivery `json:"delivery"`
	}{d})
}

func deliveryNotFound() *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "Requested resource cannot be found."}
}

type deliveryIDInput struct {
	ID string `json:"id"`
}

func deleteDelivery(x *exchange) error {
	in := input[deliveryIDInput](x)
	return x.dropDelivery(func(b *deliveries) bool {
		_, ok := b.deliveries[in.ID]
		delete(b.deliveries, in.ID)
		return ok
	})
}

type deliveryNameInput struct {
	Name string `json:"name"`
}

func deleteDeliverySource(x *exchange) error {
	in := input[deliveryNameInput](x)
	return x.dropDelivery(func(b *deliveries) bool {
		_, ok := b.sources[in.Name]
		delete(b.sources, in.Name)
		return ok
	})
}

func deleteDeliveryDestination(x *exchange) error {
	in := input[deliveryNameInput](x)
	return x.dropDelivery(func(b *deliveries) bool {
		_, ok := b.destinations[in.Name]
		delete(b.destinations, in.Name)
		return ok
	})
}

func (x *exchange) dropDelivery(drop func(*deliveries) bool) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	b := &r.logs.deliveries
	b.mu.Lock()
	defer b.mu.Unlock()
	if !drop(b) {
		return deliveryNotFound()
	}
	return x.answerJSON(struct{}{})
}

type describeDeliveriesInput struct {
	NextToken string `json:"nextToken"`
	Limit     *int   `json:"limit"`
}

func describeDeliveries(x *exchange) error {
	return describeDelivered(x, "deliveries", func(b *deliveries) []*delivery {
		return slices.SortedFunc(maps.Values(b.deliveries), func(p, q *delivery) int { return cmp.Compare(p.ID, q.ID) })
	})
}

func describeDeliverySources(x *exchange) error {
	return describeDelivered(x, "deliverySources", func(b *deliveries) []*deliverySource {
		return slices.SortedFunc(maps.Values(b.sources), func(p, q *deliverySource) int { return cmp.Compare(p.Name, q.Name) })
	})
}

func describeDeliveryDestinations(x *exchange) error {
	return describeDelivered(x, "deliveryDestinations", func(b *deliveries) []*deliveryDestination {
		return slices.SortedFunc(maps.Values(b.destinations), func(p, q *deliveryDestination) int { return cmp.Compare(p.Name, q.Name) })
	})
}

// describeDelivered answers a page of a list.
func describeDelivered[T any](x *exchange, member string, list func(*deliveries) []T) error {
	in := input[describeDeliveriesInput](x)
	limit, err := describeLimit(in.Limit)
	if err != nil {
		return err
	}
	r, err := x.reached()
	if err != nil {
		return err
	}
	b := &r.logs.deliveries
	b.mu.Lock()
	defer b.mu.Unlock()
	part, next, ok := page(member, in.NextToken, limit, list(b))
	if !ok {
		return invalidToken()
	}
	answer := map[string]any{member: part}
	if next != "" {
		answer["nextToken"] = next
	}
	return x.answerJSON(answer)
}
