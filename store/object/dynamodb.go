package object

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// maxItem is how much of an object one item holds. DynamoDB's limit is 400 KB
// with names and keys.
const maxItem = 350 << 10

// DynamoDB keeps objects in a table whose partition key is "id", a string. An
// object that does not fit into one item is cut into parts, which are written
// before the item that names them, so an object changes as a whole. A process
// that dies in between leaves parts behind that nobody reads.
type DynamoDB struct {
	client *dynamodb.Client
	table  string
	key    string
}

var _ Objects = (*DynamoDB)(nil)

// NewDynamoDB returns the objects of a table, whose ids all begin with key.
func NewDynamoDB(client *dynamodb.Client, table, key string) *DynamoDB {
	return &DynamoDB{client, table, key}
}

type item = map[string]types.AttributeValue

func (o *DynamoDB) id(name string) string { return o.key + "/" + name }

func (o *DynamoDB) part(name, version string, n int) string {
	return o.id(name) + "#" + version + "#" + strconv.Itoa(n)
}

// Load reads an object.
func (o *DynamoDB) Load(ctx context.Context, name string) ([]byte, string, error) {
	for range 5 {
		head, err := o.get(ctx, o.id(name))
		if err != nil || head == nil {
			return nil, "", err
		}
		version, parts := text(head["version"]), number(head["parts"])
		data := bytesOf(head["data"])
		whole := true
		for n := range parts {
			part, err := o.get(ctx, o.part(name, version, n))
			if err != nil {
				return nil, "", err
			}
			if part == nil {
				whole = false // replaced since
				break
			}
			data = append(data, bytesOf(part["data"])...)
		}
		if whole {
			return data, version, nil
		}
	}
	return nil, "", fmt.Errorf("dynamodb://%s/%s: parts of the object are missing", o.table, o.id(name))
}

// Save writes an object.
func (o *DynamoDB) Save(ctx context.Context, name string, data []byte, ifVersion string) (string, error) {
	version := rand.Text()
	head := item{"id": str(o.id(name)), "version": str(version)}
	parts := 0
	if len(data) <= maxItem {
		head["data"] = &types.AttributeValueMemberB{Value: data}
	} else {
		for ; len(data) > 0; parts++ {
			n := min(len(data), maxItem)
			part := item{"id": str(o.part(name, version, parts)), "data": &types.AttributeValueMemberB{Value: data[:n]}}
			if _, err := o.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &o.table, Item: part}); err != nil {
				return "", o.failed(name, err)
			}
			data = data[n:]
		}
	}
	head["parts"] = &types.AttributeValueMemberN{Value: strconv.Itoa(parts)}
	in := &dynamodb.PutItemInput{TableName: &o.table, Item: head, ReturnValues: types.ReturnValueAllOld}
	if ifVersion == "" {
		in.ConditionExpression = aws.String("attribute_not_exists(id)")
	} else {
		in.ConditionExpression = aws.String("#version = :version")
		in.ExpressionAttributeNames = map[string]string{"#version": "version"}
		in.ExpressionAttributeValues = item{":version": str(ifVersion)}
	}
	out, err := o.client.PutItem(ctx, in)
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		if err := o.remove(ctx, name, version, parts); err != nil {
			return "", o.failed(name, err)
		}
		return "", ErrConflict
	}
	if err != nil {
		return "", o.failed(name, err)
	}
	if out != nil && out.Attributes != nil {
		if err := o.remove(ctx, name, text(out.Attributes["version"]), number(out.Attributes["parts"])); err != nil {
			return "", o.failed(name, err)
		}
	}
	return version, nil
}

func (o *DynamoDB) get(ctx context.Context, id string) (item, error) {
	out, err := o.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &o.table, Key: item{"id": str(id)}, ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, o.failed(id, err)
	}
	return out.Item, nil
}

// remove removes the parts of a version that is no more.
func (o *DynamoDB) remove(ctx context.Context, name, version string, parts int) error {
	for n := range parts {
		_, err := o.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName: &o.table, Key: item{"id": str(o.part(name, version, n))},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *DynamoDB) failed(name string, err error) error {
	return fmt.Errorf("dynamodb://%s, object %s: %w", o.table, name, err)
}

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func text(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func bytesOf(v types.AttributeValue) []byte {
	if b, ok := v.(*types.AttributeValueMemberB); ok {
		return b.Value
	}
	return nil
}

func number(v types.AttributeValue) int {
	if s, ok := v.(*types.AttributeValueMemberN); ok {
		if n, err := strconv.Atoi(s.Value); err == nil && n >= 0 {
			return n
		}
	}
	return 0
}
