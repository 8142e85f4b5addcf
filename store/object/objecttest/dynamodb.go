package objecttest

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// maxItem is DynamoDB's limit of an item. The items here are measured as they
// come, in Base64, which is a little stricter than the real limit allows for.
const maxItem = 400 << 10 * 4 / 3

// DynamoDB is a server of tables whose partition key is "id". It knows the
// operations and conditions that state in objects uses.
type DynamoDB struct {
	URL string

	mu    sync.Mutex
	items map[string]map[string]attribute // by table and id
	lose  int
}

type attribute map[string]any // {"S": "text"}

// NewDynamoDB starts a server that ends with the test.
func NewDynamoDB(tb testing.TB) *DynamoDB {
	tb.Helper()
	d := &DynamoDB{items: make(map[string]map[string]attribute)}
	server := httptest.NewServer(d)
	tb.Cleanup(server.Close)
	d.URL = server.URL
	return d
}

// LoseAnswers lets the next n writes be done and answered as failed.
func (d *DynamoDB) LoseAnswers(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lose = n
}

// Items counts the items of all tables.
func (d *DynamoDB) Items() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.items)
}

type dynamoRequest struct {
	TableName                 string
	Key, Item                 map[string]attribute
	ConsistentRead            bool
	ConditionExpression       string
	ExpressionAttributeValues map[string]attribute
	ReturnValues              string
}

// ServeHTTP answers one request.
func (d *DynamoDB) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "" {
		dynamoError(w, "MissingAuthenticationTokenException", "not signed")
		return
	}
	var in dynamoRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		dynamoError(w, "SerializationException", err.Error())
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := in.Key
	if key == nil {
		key = in.Item
	}
	id := in.TableName + "/" + fmt.Sprint(key["id"]["S"])
	there := d.items[id]
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	answer := map[string]any{}
	switch operation {
	case "GetItem":
		if !in.ConsistentRead {
			dynamoError(w, "ValidationException", "an eventually consistent read would give an old cursor")
			return
		}
		if there != nil {
			answer["Item"] = there
		}
	case "PutItem":
		if raw, err := json.Marshal(in.Item); err != nil || len(raw) > maxItem {
			dynamoError(w, "ValidationException", "Item size has exceeded the maximum allowed size")
			return
		}
		switch in.ConditionExpression {
		case "":
		case "attribute_not_exists(id)":
			if there != nil {
				dynamoError(w, "ConditionalCheckFailedException", "The conditional request failed")
				return
			}
		case "#version = :version":
			if there == nil || there["version"]["S"] != in.ExpressionAttributeValues[":version"]["S"] {
				dynamoError(w, "ConditionalCheckFailedException", "The conditional request failed")
				return
			}
		default:
			dynamoError(w, "ValidationException", "unknown condition "+in.ConditionExpression)
			return
		}
		d.items[id] = in.Item
		if in.ReturnValues == "ALL_OLD" && there != nil {
			answer["Attributes"] = there
		}
		if d.lose > 0 && in.ConditionExpression != "" {
			d.lose--
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
	case "DeleteItem":
		delete(d.items, id)
	default:
		dynamoError(w, "UnknownOperationException", operation)
		return
	}
	body, err := json.Marshal(answer)
	if err != nil {
		dynamoError(w, "InternalServerError", err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	_, _ = w.Write(body)
}

func dynamoError(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazonaws.dynamodb.v20120810#" + code, "message": message})
}
