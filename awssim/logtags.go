package awssim

import "maps"

// logChangeOperations are the operations of CloudWatch Logs that change what is
// known of a log group, and its tags.
var logChangeOperations = map[string]operation{
	"AssociateKmsKey":       {prepare: logsInput[kmsKeyInput], run: associateKmsKey},
	"DisassociateKmsKey":    {prepare: logsInput[kmsKeyInput], run: disassociateKmsKey},
	"DeleteRetentionPolicy": {prepare: logsInput[logGroupInput], run: deleteRetentionPolicy},
	"ListTagsForResource":   {prepare: logsInput[logTagsInput], run: listLogTags},
	"TagResource":           {prepare: logsInput[logTagsInput], run: tagLogGroup},
	"UntagResource":         {prepare: logsInput[logTagsInput], run: untagLogGroup},

	"GetDeliverySource":      {prepare: deliveryInput[deliveryNameInput], run: getDeliverySource},
	"GetDeliveryDestination": {prepare: deliveryInput[deliveryNameInput], run: getDeliveryDestination},
}

func getDeliverySource(x *exchange) error {
	return getDelivered(x, "deliverySource", func(b *deliveries, name string) (*deliverySource, bool) {
		s, ok := b.sources[name]
		return s, ok
	})
}

func getDeliveryDestination(x *exchange) error {
	return getDelivered(x, "deliveryDestination", func(b *deliveries, name string) (*deliveryDestination, bool) {
		d, ok := b.destinations[name]
		return d, ok
	})
}

// getDelivered answers the one thing of a name.
func getDelivered[T any](x *exchange, member string, find func(b *deliveries, name string) (T, bool)) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	b := &r.logs.deliveries
	b.mu.Lock()
	defer b.mu.Unlock()
	found, ok := find(b, input[deliveryNameInput](x).Name)
	if !ok {
		return deliveryNotFound()
	}
	return x.answerJSON(map[string]any{member: found})
}

type kmsKeyInput struct {
	LogGroupName string `json:"logGroupName"`
	KmsKeyID     string `json:"kmsKeyId"`
}

func (in *kmsKeyInput) groupRef() (name, identifier string) { return in.LogGroupName, "" }

func associateKmsKey(x *exchange) error {
	in := input[kmsKeyInput](x)
	return x.changeGroup(in.LogGroupName, "", func(g *logGroup) { g.kms = in.KmsKeyID })
}

func disassociateKmsKey(x *exchange) error {
	in := input[kmsKeyInput](x)
	return x.changeGroup(in.LogGroupName, "", func(g *logGroup) { g.kms = "" })
}

func deleteRetentionPolicy(x *exchange) error {
	in := input[logGroupInput](x)
	return x.changeGroup(in.LogGroupName, "", func(g *logGroup) { g.retention = 0 })
}

// changeGroup changes the group that the call is about.
func (x *exchange) changeGroup(name, identifier string, change func(*logGroup)) error {
	_, g, err := x.logGroupOf(name, identifier)
	if err != nil {
		return err
	}
	g.mu.Lock()
	change(g)
	g.mu.Unlock()
	return x.answerJSON(struct{}{})
}

type logTagsInput struct {
	ResourceArn string            `json:"resourceArn"`
	Tags        map[string]string `json:"tags"`
	TagKeys     []string          `json:"tagKeys"`
}

func (in *logTagsInput) groupRef() (name, identifier string) { return "", in.ResourceArn }

func listLogTags(x *exchange) error {
	in := input[logTagsInput](x)
	_, g, err := x.logGroupOf("", in.ResourceArn)
	if err != nil {
		return err
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	return x.answerJSON(item{"tags": orEmpty(g.tags)})
}

func tagLogGroup(x *exchange) error {
	in := input[logTagsInput](x)
	return x.changeGroup("", in.ResourceArn, func(g *logGroup) {
		tags := maps.Clone(g.tags)
		if tags == nil {
			tags = map[string]string{}
		}
		maps.Copy(tags, in.Tags)
		g.tags = tags
	})
}

func untagLogGroup(x *exchange) error {
	in := input[logTagsInput](x)
	return x.changeGroup("", in.ResourceArn, func(g *logGroup) {
		tags := maps.Clone(g.tags)
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
		g.tags = tags
	})
}
