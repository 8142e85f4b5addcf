package audit

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// Difference is one value that Before and After do not share.
type Difference struct {
	// Path leads to the value: "settings.level", "targets[2]"; empty for the whole.
	Path string `json:"path"`
	// Before and After are the values as JSON; empty where there is none.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// maxDifferences bounds what Differences returns.
const maxDifferences = 500

// Differences returns where two states differ, in the order of their paths, at most 500
// places. Objects are compared key by key and arrays place by place.
func Differences(before, after json.RawMessage) []Difference {
	var out []Difference
	compare(&out, "", parsed(before), parsed(after))
	return out
}

// absent stands for a value that is not there; JSON's null is one that is.
type absent struct{}

func parsed(b json.RawMessage) any {
	if len(b) == 0 {
		return absent{}
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // 1.0 and 1 are told apart, and no digit is lost
	var v any
	if err := d.Decode(&v); err != nil {
		return string(b)
	}
	return v
}

func compare(out *[]Difference, path string, before, after any) {
	if len(*out) >= maxDifferences {
		return
	}
	was, wasObject := before.(map[string]any)
	is, isObject := after.(map[string]any)
	if wasObject && isObject || wasObject && after == (absent{}) || isObject && before == (absent{}) {
		compareObjects(out, path, was, is)
		return
	}
	wasList, wasArray := before.([]any)
	isList, isArray := after.([]any)
	if wasArray && isArray {
		for i := range max(len(wasList), len(isList)) {
			compare(out, path+"["+strconv.Itoa(i)+"]", at(wasList, i), at(isList, i))
		}
		return
	}
	if a, b := shown(before), shown(after); a != b {
		*out = append(*out, Difference{Path: path, Before: a, After: b})
	}
}

func compareObjects(out *[]Difference, path string, before, after map[string]any) {
	keys := maps.Clone(before)
	if keys == nil {
		keys = map[string]any{}
	}
	maps.Copy(keys, after)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		below := key
		if path != "" {
			below = path + "." + key
		}
		compare(out, below, of(before, key), of(after, key))
	}
}

func of(object map[string]any, key string) any {
	if v, ok := object[key]; ok {
		return v
	}
	return absent{}
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return absent{}
}

func shown(v any) string {
	if v == (absent{}) {
		return ""
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return ""
	}
	return string(bytes.TrimSpace(b.Bytes()))
}
