package estate

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// Delivery is a delivery of a stage's logs by CloudWatch Logs: execution logs
// whose lines may have 1 MB, for example.
type Delivery struct {
	ID string `json:"id"`
	// LogType is what is delivered, as AWS names it.
	LogType string `json:"log_type,omitempty"`
	// Destination is the ARN of a log group, a bucket or a Firehose stream. Only
	// log groups are read.
	Destination string `json:"destination"`
}

// deliveries finds out where log delivery takes the logs of stages. It needs
// rights of its own, which older policies do not have, and partitions without log
// delivery do not know the calls: what is refused is a note and not a fault.
func (r *regionReader) deliveries(ctx context.Context, apis []API) {
	refused := func(err error) { r.missed(readDeliveries, err, PartDeliveries) }
	sources, err := all(ctx, func(ctx context.Context, token *string) ([]types.DeliverySource, *string, error) {
		out, err := r.logs.DescribeDeliverySources(ctx, &cloudwatchlogs.DescribeDeliverySourcesInput{Limit: aws.Int32(groupPage), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.DeliverySources, out.NextToken, nil
	})
	if err != nil {
		refused(err)
		return
	}
	// Which stage each source is of; a resource that is no stage is another
	// service's.
	stages := map[string][]*Stage{}
	kinds := map[string]string{}
	for i := range sources {
		name := aws.ToString(sources[i].Name)
		kinds[name] = aws.ToString(sources[i].LogType)
		for _, arn := range sources[i].ResourceArns {
			if s := stageOfARN(apis, arn); s != nil {
				stages[name] = append(stages[name], s)
			}
		}
	}
	if len(stages) == 0 {
		return
	}
	destinations, err := all(ctx, func(ctx context.Context, token *string) ([]types.DeliveryDestination, *string, error) {
		out, err := r.logs.DescribeDeliveryDestinations(ctx, &cloudwatchlogs.DescribeDeliveryDestinationsInput{Limit: aws.Int32(groupPage), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.DeliveryDestinations, out.NextToken, nil
	})
	if err != nil {
		refused(err)
		return
	}
	targets := map[string]string{}
	for i := range destinations {
		if c := destinations[i].DeliveryDestinationConfiguration; c != nil {
			targets[aws.ToString(destinations[i].Arn)] = strings.TrimSuffix(aws.ToString(c.DestinationResourceArn), ":*")
		}
	}
	found, err := all(ctx, func(ctx context.Context, token *string) ([]types.Delivery, *string, error) {
		out, err := r.logs.DescribeDeliveries(ctx, &cloudwatchlogs.DescribeDeliveriesInput{Limit: aws.Int32(groupPage), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Deliveries, out.NextToken, nil
	})
	if err != nil {
		refused(err)
		return
	}
	for i := range found {
		d := &found[i]
		source := aws.ToString(d.DeliverySourceName)
		target := targets[aws.ToString(d.DeliveryDestinationArn)]
		if target == "" {
			continue
		}
		for _, s := range stages[source] {
			s.Deliveries = append(s.Deliveries, Delivery{ID: aws.ToString(d.Id), LogType: kinds[source], Destination: target})
		}
	}
	for i := range apis {
		for j := range apis[i].Stages {
			slices.SortFunc(apis[i].Stages[j].Deliveries, func(a, b Delivery) int { return cmp.Compare(a.ID, b.ID) })
		}
	}
}

// stageOfARN finds the stage that arn:PARTITION:apigateway:REGION::/restapis/API/stages/STAGE
// names, or nil.
func stageOfARN(apis []API, arn string) *Stage {
	_, path, ok := strings.Cut(arn, ":/")
	if !ok || !strings.Contains(arn, ":apigateway:") {
		return nil
	}
	kind, path, _ := strings.Cut(path, "/")
	id, path, _ := strings.Cut(path, "/")
	word, name, _ := strings.Cut(path, "/")
	if kind != "restapis" && kind != "apis" || word != "stages" {
		return nil
	}
	for i := range apis {
		if apis[i].ID != id {
			continue
		}
		for j := range apis[i].Stages {
			if apis[i].Stages[j].Name == name {
				return &apis[i].Stages[j]
			}
		}
	}
	return nil
}
