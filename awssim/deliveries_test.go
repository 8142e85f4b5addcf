package awssim_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gatehouse-project/gatehouse/awssim"
)

func TestDeliveries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	logs, c := w.logs(orders), ctx(t)
	source := must[*cloudwatchlogs.PutDeliverySourceOutput](t)(logs.PutDeliverySource(c, &cloudwatchlogs.PutDeliverySourceInput{
		Name: aws.String("source"), LogType: aws.String("EXECUTION_LOGS"),
		ResourceArn: aws.String("arn:aws:apigateway:eu-west-1::/restapis/a1b2c3d4e5/stages/prod"),
	}))
	var destinations []string
	for _, target := range []string{"arn:aws:logs:eu-west-1:222222222222:log-group:vended", "arn:aws:s3:::archive", "arn:aws:firehose:eu-west-1:222222222222:deliverystream/x"} {
		name := "destination-" + target[len("arn:aws:"):len("arn:aws:")+2]
		out := must[*cloudwatchlogs.PutDeliveryDestinationOutput](t)(logs.PutDeliveryDestination(c, &cloudwatchlogs.PutDeliveryDestinationInput{
			Name: &name, OutputFormat: types.OutputFormatJson,
			DeliveryDestinationConfiguration: &types.DeliveryDestinationConfiguration{DestinationResourceArn: &target},
		}))
		destinations = append(destinations, *out.DeliveryDestination.Arn)
	}
	for _, d := range destinations {
		must[*cloudwatchlogs.CreateDeliveryOutput](t)(logs.CreateDelivery(c, &cloudwatchlogs.CreateDeliveryInput{
			DeliverySourceName: source.DeliverySource.Name, DeliveryDestinationArn: &d,
		}))
	}
	if _, err := logs.CreateDelivery(c, &cloudwatchlogs.CreateDeliveryInput{DeliverySourceName: aws.String("source"), DeliveryDestinationArn: &destinations[0]}); err == nil {
		t.Error("the same delivery was made twice")
	}
	var kinds []string
	var first *types.Delivery
	for p := cloudwatchlogs.NewDescribeDeliveriesPaginator(logs, &cloudwatchlogs.DescribeDeliveriesInput{Limit: aws.Int32(2)}); p.HasMorePages(); {
		page := must[*cloudwatchlogs.DescribeDeliveriesOutput](t)(p.NextPage(c))
		for i := range page.Deliveries {
			kinds = append(kinds, string(page.Deliveries[i].DeliveryDestinationType))
			first = &page.Deliveries[i]
		}
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{"CWL", "FH", "S3"}) {
		t.Errorf("deliveries to %v", kinds)
	}
	sources := must[*cloudwatchlogs.DescribeDeliverySourcesOutput](t)(logs.DescribeDeliverySources(c, nil))
	if len(sources.DeliverySources) != 1 || *sources.DeliverySources[0].Service != "apigateway" || *sources.DeliverySources[0].LogType != "EXECUTION_LOGS" {
		t.Errorf("sources %+v", sources.DeliverySources)
	}
	must[*cloudwatchlogs.DeleteDeliveryOutput](t)(logs.DeleteDelivery(c, &cloudwatchlogs.DeleteDeliveryInput{Id: first.Id}))
	must[*cloudwatchlogs.DeleteDeliverySourceOutput](t)(logs.DeleteDeliverySource(c, &cloudwatchlogs.DeleteDeliverySourceInput{Name: aws.String("source")}))
	must[*cloudwatchlogs.DeleteDeliveryDestinationOutput](t)(logs.DeleteDeliveryDestination(c, &cloudwatchlogs.DeleteDeliveryDestinationInput{Name: aws.String("destination-s3")}))
	_, err := logs.DeleteDelivery(c, &cloudwatchlogs.DeleteDeliveryInput{Id: first.Id})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok {
		t.Errorf("a delivery that is gone: %v", err)
	}
	left := must[*cloudwatchlogs.DescribeDeliveryDestinationsOutput](t)(logs.DescribeDeliveryDestinations(c, nil))
	if len(left.DeliveryDestinations) != 2 {
		t.Errorf("%d destinations are left", len(left.DeliveryDestinations))
	}
}
