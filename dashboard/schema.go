package dashboard

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/inventory"
)

// schemaRow is a field with its types and its values in words.
type schemaRow struct {
	inventory.Field
	Kind, Range string
}

func schemaRows(s *inventory.Schema) []schemaRow {
	if s == nil {
		return nil
	}
	rows := make([]schemaRow, len(s.Fields))
	for i := range s.Fields {
		f := &s.Fields[i]
		row := schemaRow{Field: *f, Kind: strings.Join(f.Types, " or ")}
		if f.Format != "" {
			row.Kind += " (" + f.Format + ")"
		}
		var parts []string
		switch {
		case len(f.Enum) > 0:
			parts = append(parts, strings.Join(f.Enum, ", "))
		case f.MaxLength > 0 && f.MinLength == f.MaxLength:
			parts = append(parts, strconv.Itoa(f.MaxLength)+" bytes")
		case f.MaxLength > 0:
			parts = append(parts, fmt.Sprintf("%d to %d bytes", f.MinLength, f.MaxLength))
		}
		if f.Minimum != nil && f.Maximum != nil {
			parts = append(parts, fmt.Sprintf("%.7g to %.7g", *f.Minimum, *f.Maximum))
		}
		row.Range = strings.Join(parts, "; ")
		rows[i] = row
	}
	return rows
}
