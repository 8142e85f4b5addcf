package eks

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// addMapping returns mapRoles with one more entry, changed in no other byte that was
// there. It does not trust itself: the new text is parsed as the authenticator parses
// it, and refused unless it says exactly what the old one said and the entry behind it.
func addMapping(text string, entry roleMapping) (string, error) {
	before, err := entriesOf(text)
	if err != nil {
		return "", err
	}
	var tried []string
	for _, next := range []func(string, roleMapping) string{appendBlock, appendFlow, replaceNothing} {
		candidate := next(text, entry)
		if candidate == "" || slices.Contains(tried, candidate) {
			continue
		}
		tried = append(tried, candidate)
		if err = provenAddition(before, candidate, entry); err == nil {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("mapRoles is written in a way that gatehouse does not change; add the entry by hand: %w", err)
}

// entriesOf are the entries of mapRoles as plain values, valid or not.
func entriesOf(text string) ([]any, error) {
	if skippable(text) {
		return nil, nil
	}
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("mapRoles does not parse, so the cluster takes it for empty: %w; mend it first, gatehouse does not write over it", err)
	}
	var all any
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("mapRoles: %w", err)
	}
	switch v := all.(type) {
	case nil:
		return nil, nil
	case []any:
		return v, nil
	}
	return nil, errors.New("mapRoles is no list, so the cluster takes it for empty; mend it first, gatehouse does not write over it")
}

// provenAddition returns nil if the text has the entries of before and behind them the
// new one.
func provenAddition(before []any, text string, entry roleMapping) error {
	after, err := entriesOf(text)
	switch {
	case err != nil:
		return err
	case len(after) != len(before)+1 || !reflect.DeepEqual(after[:len(before)], append([]any{}, before...)):
		return errors.New("the change would not leave the other entries as they are")
	}
	raw, err := json.Marshal(after[len(before)])
	if err != nil {
		return err
	}
	var got roleMapping
	if err := json.Unmarshal(raw, &got); err != nil || got.RoleARN != entry.RoleARN || got.Username != entry.Username || len(got.Groups) != 0 {
		return errors.New("the new entry would not be read as it is meant")
	}
	return nil
}

// quoted is a text as YAML and JSON both read it.
func quoted(s string) string {
	data, _ := json.Marshal(s) //nolint:errchkjson // a string cannot fail
	return string(data)
}

func lineEnd(text string) string {
	if strings.Contains(text, "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// appendBlock writes the entry as one more item of a block list, as far in as the others.
func appendBlock(text string, entry roleMapping) string {
	end, indent := lineEnd(text), ""
	for line := range strings.SplitSeq(text, "\n") {
		if trimmed := strings.TrimLeft(line, " "); strings.HasPrefix(trimmed, "-") && !strings.HasPrefix(trimmed, "---") {
			indent = line[:len(line)-len(trimmed)]
			break
		}
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += end
	}
	return text + indent + "- rolearn: " + quoted(entry.RoleARN) + end + indent + "  username: " + quoted(entry.Username) + end
}

// appendFlow writes the entry before the end of a list in brackets.
func appendFlow(text string, entry roleMapping) string {
	at := strings.LastIndexByte(text, ']')
	if at < 0 || strings.TrimSpace(text[at+1:]) != "" {
		return ""
	}
	inner := strings.TrimRight(text[:at], " \t\r\n")
	separator := ", "
	if strings.HasSuffix(inner, "[") || strings.HasSuffix(inner, ",") {
		separator = ""
	}
	return inner + separator + `{"rolearn": ` + quoted(entry.RoleARN) + `, "username": ` + quoted(entry.Username) + "}" + text[len(inner):]
}

// replaceNothing writes the entry in the place of a text that holds none.
func replaceNothing(text string, entry roleMapping) string {
	switch strings.TrimSpace(text) {
	case "", "``", `""`, "''", "[]", "null", "~":
		return appendBlock("", entry)
	}
	return ""
}
