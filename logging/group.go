package logging

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gatehouse-project/gatehouse/account"
)

func (p *place) groupARN(name string) string { return groupARN(p.account, p.region, name) }

func (p *place) readGroup(ctx context.Context, name string) (string, error) {
	// Names come in order, and a name before all that it begins: the first page tells.
	out, err := p.logs.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &name, Limit: aws.Int32(50)})
	if err != nil {
		return "", err
	}
	for i := range out.LogGroups {
		g := &out.LogGroups[i]
		if aws.ToString(g.LogGroupName) != name {
			continue
		}
		tags, err := p.logs.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: aws.String(p.groupARN(name))})
		if gone(err) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		return groupValue(tags.Tags[markKey] == markValue, aws.ToInt32(g.RetentionInDays), aws.ToString(g.KmsKeyId)), nil
	}
	return "", nil
}

// keepOfGroup is what a group that an interrupted attempt made shall be: a retention or
// a key that it has stays where none is asked for. Taking them away is no part of
// switching, and not among its permissions.
func keepOfGroup(now, then string) string {
	have, want := strings.SplitN(now, ";", 3), strings.SplitN(then, ";", 3)
	if len(have) < 3 || len(want) < 3 {
		return then
	}
	if want[1] == "0" {
		want[1] = have[1]
	}
	if want[2] == "" {
		want[2] = have[2]
	}
	return strings.Join(want, ";")
}

func (p *place) writeGroup(ctx context.Context, name, value string) error {
	if value == "" {
		_, err := p.logs.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &name})
		if gone(err) {
			return nil
		}
		return err
	}
	part := strings.SplitN(value, ";", 3)
	days, err := strconv.ParseInt(part[1], 10, 32)
	if err != nil {
		return err
	}
	in := &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name, Tags: map[string]string{markKey: markValue}}
	if part[2] != "" {
		in.KmsKeyId = &part[2]
	}
	_, err = p.logs.CreateLogGroup(ctx, in)
	if hasCode(err, "ResourceAlreadyExists") {
		// An interrupted attempt made it, maybe with another key.
		err = nil
		if in.KmsKeyId != nil {
			_, err = p.logs.AssociateKmsKey(ctx, &cloudwatchlogs.AssociateKmsKeyInput{LogGroupName: &name, KmsKeyId: in.KmsKeyId})
		}
	}
	if err != nil || days == 0 {
		return err
	}
	_, err = p.logs.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: &name, RetentionInDays: aws.Int32(int32(days))})
	return err
}

// deliveryName names what makes up the delivery of a stage's logs. Names have at
// most 60 characters and few signs, so the stage is told by a digest.
func deliveryName(k Key) string {
	sum := sha256.Sum256([]byte(k.Subject))
	return "gatehouse-" + hex.EncodeToString(sum[:12])
}

// deliveryParts are what there is of a delivery.
type deliveryParts struct {
	source      bool
	destination string // its ARN
	target      string // of the destination
	delivery    string // its id
}

func (p *place) deliveryParts(ctx context.Context, k Key) (d deliveryParts, err error) {
	name := deliveryName(k)
	sources, err := p.logs.GetDeliverySource(ctx, &cloudwatchlogs.GetDeliverySourceInput{Name: &name})
	switch {
	case gone(err):
	case err != nil:
		return d, err
	default:
		d.source = sources.DeliverySource != nil
	}
	to, err := p.logs.GetDeliveryDestination(ctx, &cloudwatchlogs.GetDeliveryDestinationInput{Name: &name})
	switch {
	case gone(err):
	case err != nil:
		return d, err
	case to.DeliveryDestination != nil:
		d.destination = aws.ToString(to.DeliveryDestination.Arn)
		if c := to.DeliveryDestination.DeliveryDestinationConfiguration; c != nil {
			d.target = trimGroup(c.DestinationResourceArn)
		}
	}
	if !d.source || d.destination == "" {
		return d, nil
	}
	pages := cloudwatchlogs.NewDescribeDeliveriesPaginator(p.logs, &cloudwatchlogs.DescribeDeliveriesInput{Limit: aws.Int32(50)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return d, err
		}
		for i := range page.Deliveries {
			if aws.ToString(page.Deliveries[i].DeliverySourceName) == name {
				d.delivery = aws.ToString(page.Deliveries[i].Id)
				return d, nil
			}
		}
	}
	return d, nil
}

func (p *place) readDelivery(ctx context.Context, k Key) (string, error) {
	d, err := p.deliveryParts(ctx, k)
	switch {
	case err != nil:
		return "", err
	case d.delivery != "":
		return d.target, nil
	case d.source || d.destination != "":
		return unfinished, nil
	}
	return "", nil
}

func (p *place) writeDelivery(ctx context.Context, k Key, group string) error {
	name := deliveryName(k)
	d, err := p.deliveryParts(ctx, k)
	if err != nil {
		return err
	}
	if group == "" {
		return p.removeDelivery(ctx, name, &d)
	}
	api, stage := k.stage()
	tags := map[string]string{markKey: markValue}
	resource := "arn:" + account.PartitionOf(p.region) + ":apigateway:" + p.region + "::/restapis/" + api + "/stages/" + stage
	_, err = p.logs.PutDeliverySource(ctx, &cloudwatchlogs.PutDeliverySourceInput{
		Name: &name, ResourceArn: &resource, LogType: aws.String(executionLogs), Tags: tags,
	})
	if err != nil {
		return err
	}
	to, err := p.logs.PutDeliveryDestination(ctx, &cloudwatchlogs.PutDeliveryDestinationInput{
		Name: &name, OutputFormat: types.OutputFormatJson, Tags: tags,
		DeliveryDestinationConfiguration: &types.DeliveryDestinationConfiguration{DestinationResourceArn: &group},
	})
	if err != nil {
		return err
	}
	_, err = p.logs.CreateDelivery(ctx, &cloudwatchlogs.CreateDeliveryInput{
		DeliverySourceName: &name, DeliveryDestinationArn: to.DeliveryDestination.Arn, Tags: tags,
	})
	if hasCode(err, "Conflict") {
		return nil
	}
	return err
}

func (p *place) removeDelivery(ctx context.Context, name string, d *deliveryParts) error {
	if d.delivery != "" {
		if _, err := p.logs.DeleteDelivery(ctx, &cloudwatchlogs.DeleteDeliveryInput{Id: &d.delivery}); err != nil && !gone(err) {
			return err
		}
	}
	if d.source {
		if _, err := p.logs.DeleteDeliverySource(ctx, &cloudwatchlogs.DeleteDeliverySourceInput{Name: &name}); err != nil && !gone(err) {
			return err
		}
	}
	if d.destination != "" {
		if _, err := p.logs.DeleteDeliveryDestination(ctx, &cloudwatchlogs.DeleteDeliveryDestinationInput{Name: &name}); err != nil && !gone(err) {
			return err
		}
	}
	return nil
}
