package awssim

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// metricDataJSON is the input in the names of the JSON protocol, in which times
// are seconds.
type metricDataJSON struct {
	StartTime     float64 `json:"StartTime"`
	EndTime       float64 `json:"EndTime"`
	ScanBy        string  `json:"ScanBy"`
	NextToken     string  `json:"NextToken"`
	MaxDatapoints int     `json:"MaxDatapoints"`
	Queries       []struct {
		ID         string `json:"Id"`
		Label      string `json:"Label"`
		Expression string `json:"Expression"`
		ReturnData *bool  `json:"ReturnData"`
		MetricStat struct {
			Metric struct {
				Namespace  string `json:"Namespace"`
				MetricName string `json:"MetricName"`
				Dimensions []struct {
					Name  string `json:"Name"`
					Value string `json:"Value"`
				} `json:"Dimensions"`
			} `json:"Metric"`
			Period int64  `json:"Period"`
			Stat   string `json:"Stat"`
		} `json:"MetricStat"`
	} `json:"MetricDataQueries"`
}

func (j *metricDataJSON) input() *getMetricDataInput {
	in := &getMetricDataInput{
		start: milliseconds(j.StartTime), end: milliseconds(j.EndTime),
		ascending: j.ScanBy == "TimestampAscending", token: j.NextToken, most: j.MaxDatapoints,
	}
	for i := range j.Queries {
		q := &j.Queries[i]
		m := metricQuery{
			id: q.ID, label: q.Label, hidden: q.ReturnData != nil && !*q.ReturnData, expression: q.Expression != "",
			namespace: q.MetricStat.Metric.Namespace, name: q.MetricStat.Metric.MetricName,
			period: q.MetricStat.Period, stat: q.MetricStat.Stat, dimensions: map[string]string{},
		}
		for _, d := range q.MetricStat.Metric.Dimensions {
			m.dimensions[d.Name] = d.Value
		}
		in.queries = append(in.queries, m)
	}
	return in
}

func jsonMetricData(body []byte) (*getMetricDataInput, error) {
	var j metricDataJSON
	if err := json.Unmarshal(body, &j); err != nil {
		return nil, &Error{Code: "SerializationException", Message: err.Error()}
	}
	return j.input(), nil
}

// cborMetricData reads CBOR by way of JSON: the names are the same.
func cborMetricData(body []byte) (*getMetricDataInput, error) {
	v, err := cbor.Decode(body)
	if err != nil {
		return nil, &Error{Code: "SerializationException", Message: err.Error()}
	}
	plain, err := plainCBOR(v)
	if err != nil {
		return nil, &Error{Code: "SerializationException", Message: err.Error()}
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return nil, &Error{Code: "SerializationException", Message: err.Error()}
	}
	return jsonMetricData(text)
}

// plainCBOR turns a CBOR value into one that encoding/json writes. A tag is its
// content: the only one that is used marks a time.
func plainCBOR(v cbor.Value) (any, error) {
	switch v := v.(type) {
	case cbor.Map:
		m := make(map[string]any, len(v))
		for k, e := range v {
			p, err := plainCBOR(e)
			if err != nil {
				return nil, err
			}
			m[k] = p
		}
		return m, nil
	case cbor.List:
		l := make([]any, len(v))
		for i, e := range v {
			p, err := plainCBOR(e)
			if err != nil {
				return nil, err
			}
			l[i] = p
		}
		return l, nil
	case *cbor.Tag:
		return plainCBOR(v.Value)
	case cbor.String:
		return string(v), nil
	case cbor.Bool:
		return bool(v), nil
	case cbor.Uint:
		return uint64(v), nil
	case cbor.NegInt:
		return -float64(v), nil
	case cbor.Float32:
		return finite(float64(v))
	case cbor.Float64:
		return finite(float64(v))
	case *cbor.Nil, *cbor.Undefined, nil:
		return nil, nil
	default:
		return nil, errors.New("a value of a kind that the input does not have")
	}
}

func finite(f float64) (any, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errors.New("a number that is not finite")
	}
	return f, nil
}

// formMetricData reads the query protocol: MetricDataQueries.member.1.Id.
func formMetricData(form url.Values) (*getMetricDataInput, error) {
	in := &getMetricDataInput{
		ascending: form.Get("ScanBy") == "TimestampAscending", token: form.Get("NextToken"),
	}
	for name, to := range map[string]*int64{"StartTime": &in.start, "EndTime": &in.end} {
		t, err := time.Parse(time.RFC3339Nano, form.Get(name))
		if err != nil {
			return nil, metricsInvalid("The value for parameter %s is not a time.", name)
		}
		*to = t.UnixMilli()
	}
	if n := form.Get("MaxDatapoints"); n != "" {
		most, err := strconv.Atoi(n)
		if err != nil {
			return nil, metricsInvalid("The value for parameter MaxDatapoints is not a number.")
		}
		in.most = most
	}
	for i := 1; i <= maxMetricQueries+1; i++ {
		at := "MetricDataQueries.member." + strconv.Itoa(i) + "."
		if !form.Has(at + "Id") {
			break
		}
		period, _ := strconv.ParseInt(form.Get(at+"MetricStat.Period"), 10, 64) // 0 is refused later
		q := metricQuery{
			id: form.Get(at + "Id"), label: form.Get(at + "Label"), expression: form.Has(at + "Expression"),
			hidden:    form.Get(at+"ReturnData") == "false",
			namespace: form.Get(at + "MetricStat.Metric.Namespace"), name: form.Get(at + "MetricStat.Metric.MetricName"),
			period: period, stat: form.Get(at + "MetricStat.Stat"), dimensions: map[string]string{},
		}
		for d := 1; d <= 30; d++ {
			dim := at + "MetricStat.Metric.Dimensions.member." + strconv.Itoa(d) + "."
			if !form.Has(dim + "Name") {
				break
			}
			q.dimensions[form.Get(dim+"Name")] = form.Get(dim + "Value")
		}
		in.queries = append(in.queries, q)
	}
	return in, nil
}

func (r *metricResult) status() string {
	if r.partial {
		return "PartialData"
	}
	return "Complete"
}

func (x *exchange) answerMetricData(results []metricResult, next string) error {
	switch x.svc.wire {
	case wireCBOR:
		return x.cborMetricData(results, next)
	case wireJSON:
		return x.jsonMetricData(results, next)
	default:
		return x.xmlMetricData(results, next)
	}
}

func (x *exchange) cborMetricData(results []metricResult, next string) error {
	list := make(cbor.List, len(results))
	for i := range results {
		r := &results[i]
		times, values := make(cbor.List, len(r.times)), make(cbor.List, len(r.values))
		for k := range r.times {
			times[k] = &cbor.Tag{ID: 1, Value: cbor.Float64(r.times[k])} // 1: a time since the epoch
			values[k] = cbor.Float64(r.values[k])
		}
		list[i] = cbor.Map{
			"Id": cbor.String(r.id), "Label": cbor.String(r.label), "StatusCode": cbor.String(r.status()),
			"Timestamps": times, "Values": values,
		}
	}
	out := cbor.Map{"MetricDataResults": list, "Messages": cbor.List{}}
	if next != "" {
		out["NextToken"] = cbor.String(next)
	}
	x.cborHeaders()
	x.answer(http.StatusOK, cbor.Encode(out))
	return nil
}

func (x *exchange) cborHeaders() {
	x.w.Header().Set("Content-Type", "application/cbor")
	x.w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
}

// cborError is the body of an error.
func (x *exchange) cborError(e *Error) []byte {
	x.cborHeaders()
	x.w.Header().Set("X-Amzn-Query-Error", e.Code+";Sender")
	return cbor.Encode(cbor.Map{"__type": cbor.String(e.Code), "message": cbor.String(e.Message)})
}

func (x *exchange) jsonMetricData(results []metricResult, next string) error {
	type result struct {
		ID         string    `json:"Id"`
		Label      string    `json:"Label"`
		StatusCode string    `json:"StatusCode"`
		Timestamps []int64   `json:"Timestamps"`
		Values     []float64 `json:"Values"`
	}
	list := make([]result, len(results))
	for i := range results {
		r := &results[i]
		list[i] = result{r.id, r.label, r.status(), r.times, r.values}
	}
	body, err := json.Marshal(struct {
		Results   []result `json:"MetricDataResults"`
		Messages  []string `json:"Messages"`
		NextToken string   `json:"NextToken,omitempty"`
	}{list, []string{}, next})
	if err != nil {
		return err
	}
	x.w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	x.answer(http.StatusOK, body)
	return nil
}

func (x *exchange) xmlMetricData(results []metricResult, next string) error {
	type result struct {
		ID         string    `xml:"Id"`
		Label      string    `xml:"Label"`
		StatusCode string    `xml:"StatusCode"`
		Timestamps []string  `xml:"Timestamps>member"`
		Values     []float64 `xml:"Values>member"`
	}
	out := struct {
		XMLName   xml.Name `xml:"GetMetricDataResult"`
		Results   []result `xml:"MetricDataResults>member"`
		NextToken string   `xml:"NextToken,omitempty"`
	}{NextToken: next}
	for i := range results {
		r := &results[i]
		one := result{ID: r.id, Label: r.label, StatusCode: r.status(), Values: r.values}
		for _, at := range r.times {
			one.Timestamps = append(one.Timestamps, time.Unix(at, 0).UTC().Format(time.RFC3339))
		}
		out.Results = append(out.Results, one)
	}
	return x.answerXML("GetMetricData", out)
}
