package access

import (
	"encoding/json"
	"fmt"
)

// rowVersion is the version of the rows that this Gatehouse writes. A field that
// is added needs no new one; a field whose meaning changes does, and DecodeRow then
// has to bring older rows up to it: grants outlive upgrades.
const rowVersion = 1

type row[T any] struct {
	V  int `json:"v"`
	Is T   `json:"is"`
}

// EncodeRow writes a request, a grant, an object, an integration or another row of
// a Store in the form that DecodeRow reads for ever.
func EncodeRow[T any](v *T) ([]byte, error) {
	return json.Marshal(row[*T]{V: rowVersion, Is: v})
}

// DecodeRow reads what EncodeRow of this version or an older one wrote. Fields that
// it does not know are left out: the Gatehouse that wrote them was newer, and the
// store's schema says whether this one may use it.
func DecodeRow[T any](b []byte) (*T, error) {
	var r row[*T]
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("a row of lending cannot be read: %w", err)
	}
	if r.V < 1 || r.V > rowVersion || r.Is == nil {
		return nil, fmt.Errorf("a row of lending has version %d, and this gatehouse knows 1 to %d: run the newer one", r.V, rowVersion)
	}
	return r.Is, nil
}
