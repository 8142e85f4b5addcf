package gateway

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// StageLogging is how a stage logs.
type StageLogging struct {
	// Level is OFF (or empty), ERROR or INFO; HTTP APIs have no execution logs.
	Level string
	// DataTrace adds headers and bodies to the lines of level INFO.
	DataTrace bool
	// AccessLog is nil where there are no access logs.
	AccessLog *AccessLog
	// Deliveries are log groups that the execution logs of a REST API go to beside
	// their own, as JSON records whose lines have up to 1 MB.
	Deliveries []string
}

// SetLogging changes how a stage logs from now on, as UpdateStage does in API Gateway.
// Calls that have begun are logged as they began; connections, limits and caches stay
// as they are. The error is a *ConfigError, or says that there is no such stage. It is
// safe to call at any time.
func (g *Gateway) SetLogging(apiID, stage string, l StageLogging) error {
	a := g.apis[apiID]
	if a == nil || a.stages[stage] == nil {
		return fmt.Errorf("there is no stage %s of an API %s", clip(stage), clip(apiID))
	}
	logs, err := a.compileLogging(stage, &l, "")
	if err != nil {
		return err
	}
	a.stages[stage].logging.Store(logs)
	return nil
}

// stageLogs is a StageLogging made ready.
type stageLogs struct {
	execution  string // log group, empty if nothing is logged
	info       bool
	trace      bool
	access     *accessTemplate
	deliveries []string
}

// compileLogging makes a stage's logging ready. path is where it stands in the
// configuration, for errors.
func (a *api) compileLogging(stage string, l *StageLogging, path string) (*stageLogs, error) {
	out := &stageLogs{trace: l.DataTrace}
	switch l.Level {
	case "", "OFF":
	case "ERROR", "INFO":
		if a.kind == transaction.HTTP {
			return nil, at(path+"logging_level", "HTTP APIs have no execution logs, only access logs")
		}
		out.info = l.Level == "INFO"
		out.execution = "API-Gateway-Execution-Logs_" + a.ID + "/" + stage
		if a.kind == transaction.WebSocket {
			out.execution = "/aws/apigateway/" + a.ID + "/" + stage
		}
	default:
		return nil, at(path+"logging_level", "%q is none of OFF, ERROR, INFO", clip(l.Level))
	}
	if out.execution != "" && a.kind == transaction.REST {
		out.deliveries = slices.Clone(l.Deliveries)
	}
	if l.AccessLog == nil {
		return out, nil
	}
	if l.AccessLog.Group == "" {
		return nil, at(path+"access_log.group", "is missing")
	}
	if f := l.AccessLog.Format; !strings.Contains(f, "$context.requestId") && !strings.Contains(f, "$context.extendedRequestId") {
		return nil, at(path+"access_log.format", "must name $context.requestId or $context.extendedRequestId")
	}
	out.access = &accessTemplate{group: l.AccessLog.Group, parts: contextTemplate(strings.ReplaceAll(l.AccessLog.Format, "\n", " "))}
	return out, nil
}

// deliveryAt is where a delivered line is cut, in bytes. AWS says 1 MB; what is left
// of it here is for the record around the line.
const deliveryAt = 1<<20 - 4096

// lineLimit is how much of a line is written somewhere.
func (c *call) lineLimit() int {
	if c.stage != nil && len(c.logging.deliveries) > 0 {
		return deliveryAt
	}
	return cutAt
}

// deliveryRecord is a line as a delivery has it. Best evidence: AWS describes records
// as JSON objects with the line, and names no fields.
func (c *call) deliveryRecord(line string) string {
	if len(line) > deliveryAt {
		line = strings.ToValidUTF8(line[:deliveryAt], "") + cutMark
	}
	b, err := json.Marshal(struct {
		RequestID string `json:"requestId"`
		APIID     string `json:"apiId"`
		Stage     string `json:"stage"`
		Message   string `json:"message"`
	}{c.id, c.api.ID, c.stage.Name, line})
	if err != nil {
		return "" // strings always encode
	}
	return string(b)
}
