package awssim_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// What is listed is what was made, until it is deleted.
func TestDeliveryList(t *testing.T) {
	t.Parallel()
	logs := awssim.New(awssim.Options{}).Account("222222222222").Region("eu-west-1").Logs()
	group := awssim.Delivery{API: "a1b2c3d4e5", Stage: "prod", LogType: "EXECUTION_LOGS", Group: "/aws/vendedlogs/one"}
	bucket := awssim.Delivery{API: "a1b2c3d4e5", Stage: "dev", LogType: "ACCESS_LOGS", Destination: "arn:aws:s3:::archive"}
	if got := logs.Deliveries(); len(got) != 0 {
		t.Errorf("at first there are %+v", got)
	}
	logs.AddDelivery(group)
	logs.AddDelivery(bucket)
	if diff := cmp.Diff([]awssim.Delivery{bucket, group}, logs.Deliveries()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
