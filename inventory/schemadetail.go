package inventory

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"unique"
)

// Schema is what was learnt of the bodies and the query of an endpoint's calls.
type Schema struct {
	// Calls are those that were learnt from: all of the first 1,000 with a JSON
	// body or a query, then one of 16.
	Calls  int64   `json:"calls"`
	Fields []Field `json:"fields"`
	// More is about how many fields were seen beyond those that are kept, at
	// most about 200.
	More int `json:"more,omitempty"`
}

// Field is a place in bodies or a query.
type Field struct {
	// In is "request", "query" or "response", Status the class of the status of
	// the response ("2xx").
	In     string `json:"in"`
	Status string `json:"status,omitempty"`
	// Path is as "items[].price", and "" for the whole of a body. A star stands
	// for names that are values.
	Path string `json:"path"`
	// Types are JSON's, and integer for numbers that are whole.
	Types []string `json:"types"`
	// Present of Of objects had the field, counted in bodies that were whole; a
	// body that was cut shows no absence. Of is 0 where presence says nothing.
	Present int64 `json:"present"`
	Of      int64 `json:"of"`
	// Values is how many were seen, those of bodies that were cut included.
	Values   int64  `json:"values"`
	Distinct int    `json:"distinct,omitempty"` // strings and numbers, estimated
	Format   string `json:"format,omitempty"`   // of all strings
	// Enum are all strings, where they are few and came often.
	Enum      []string `json:"enum,omitempty"`
	MinLength int      `json:"min_length,omitempty"` // bytes
	MaxLength int      `json:"max_length,omitempty"`
	Minimum   *float64 `json:"minimum,omitempty"` // of numbers, to seven digits
	Maximum   *float64 `json:"maximum,omitempty"`
}

// SensitiveField is a field that holds sensitive data.
type SensitiveField struct {
	In     string `json:"in"`
	Status string `json:"status,omitempty"`
	Path   string `json:"path"`
	// Class is email, iban, card, ssn, national_id, phone, birth_date, location,
	// ip, or secret.
	Class string `json:"class"`
	// Matches of Distinct values obey the rules of the class; both are estimated.
	Matches  int `json:"matches"`
	Distinct int `json:"distinct"`
	// Confidence is "high", "medium" or "low".
	Confidence string `json:"confidence"`
	// Redacted values were taken out before they came here, so that only the
	// field's name can tell their class.
	Redacted bool `json:"redacted,omitempty"`
}

var partNames = [numParts]string{partRequest: "request", partQuery: "query", partResponse: "response"}

// minEnumSeen is how often the values of an enum have to come, each on average,
// before they are one.
const minEnumSeen = 5

// shown returns the schema and the sensitive data for the endpoint's page.
func (s *schema) shown() (*Schema, []SensitiveField) {
	sensitive := []SensitiveField{}
	if len(s.fields) == 0 {
		return nil, sensitive
	}
	out := &Schema{Calls: int64(s.learnt)}
	known, _ := s.all.counts(s.all)
	if more := known - len(s.fields); more > 1+known/4 {
		out.More = more // less than that may be the error of the estimate
	}
	for i := range s.fields {
		f := &s.fields[i]
		in, status, path := s.place(i)
		out.Fields = append(out.Fields, f.shown(s.fields, in, status, path))
		if found, ok := f.sensitive(); ok {
			found.In, found.Status, found.Path = in, status, path
			sensitive = append(sensitive, found)
		}
	}
	slices.SortFunc(out.Fields, func(a, b Field) int {
		return cmp.Or(cmp.Compare(partRank(a.In), partRank(b.In)), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Path, b.Path))
	})
	slices.SortFunc(sensitive, func(a, b SensitiveField) int {
		return cmp.Or(cmp.Compare(partRank(a.In), partRank(b.In)), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Path, b.Path))
	})
	return out, sensitive
}

func partRank(in string) int { return slices.Index(partNames[:], in) }

// place tells where the field at i stands.
func (s *schema) place(i int) (in, status, path string) {
	in = partNames[partOf(s.fields[i].key)]
	for {
		f := &s.fields[i]
		name := f.name.Value()
		if int(f.up) == i {
			return in, name, strings.TrimPrefix(path, ".")
		}
		if name == elements {
			path = name + path
		} else {
			path = "." + name + path
		}
		i = int(f.up)
	}
}

func (f *field) shown(all []field, in, status, path string) Field {
	out := Field{In: in, Status: status, Path: path, Types: []string{}, Values: int64(f.seen), Format: f.formats.shown()}
	for i, name := range typeNames {
		if f.types&(1<<i) != 0 {
			out.Types = append(out.Types, name)
		}
	}
	out.Distinct, _ = f.values.counts(f.values)
	if parent := &all[f.up]; parent.key != f.key && f.name.Value() != elements && f.name.Value() != anyName {
		out.Of = int64(parent.objects)
		out.Present = min(int64(f.present), out.Of)
	}
	if f.formats != 0 {
		out.MinLength, out.MaxLength = int(f.shortest), int(f.longest)
	}
	if f.flags&fieldRanged != 0 {
		out.Minimum, out.Maximum = bound(f.least), bound(f.most)
	}
	if f.flags&fieldEnum != 0 {
		if values := strings.Split(f.enum.Value(), "\n"); int(f.seen) >= minEnumSeen*len(values) {
			out.Enum = values
		}
	}
	return out
}

// bound keeps what JSON can write.
func bound(x float32) *float64 {
	v := min(max(float64(x), -math.MaxFloat32), math.MaxFloat32)
	return &v
}

// sensitive judges a field by its values and its name. One value alone is never
// enough, and a form that chance gives, such as a number whose check digit fits,
// has to be that of most values.
func (f *field) sensitive() (SensitiveField, bool) {
	of, matching := f.values.counts(f.matches)
	out := SensitiveField{Matches: matching, Distinct: of}
	if f.class != classNone && matching >= 2 {
		out.Class = classNames[f.class]
		named := f.hint == f.class
		share := atLeast(matching, of)
		switch {
		case named && share >= 0.3:
			out.Confidence = "high"
		case share >= 0.6 && matching >= 5 && f.class != classIP:
			out.Confidence = "high"
		case share >= 0.3 && matching >= 3 || named && share >= 0.1:
			out.Confidence = "medium"
		case f.class <= classIBAN && matching >= 3:
			// Few other things look like these, so a free text that is sometimes
			// one is told too.
			out.Confidence = "low"
		}
		if out.Confidence != "" {
			return out, true
		}
	}
	if f.flags&fieldRedacted == 0 {
		return out, false
	}
	out = SensitiveField{Class: classNames[classSecret], Distinct: of, Confidence: "high", Redacted: true}
	if f.hint != classNone && f.hint != classPerson {
		out.Class = classNames[f.hint]
	}
	return out, true
}

// atLeast is the lower end of Wilson's interval, at 90 %, for a share of k of n.
func atLeast(k, n int) float64 {
	if n == 0 {
		return 0
	}
	const z = 1.2816
	p, m := float64(k)/float64(n), float64(n)
	return (p + z*z/(2*m) - z*math.Sqrt(p*(1-p)/m+z*z/(4*m*m))) / (1 + z*z/m)
}

func (s *schema) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(s.calls))
	b = binary.AppendUvarint(b, uint64(s.learnt))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.all))
	for i := range s.fields {
		f := &s.fields[i]
		root := byte(0)
		if int(f.up) == i {
			root = 1
		}
		b = append(b, byte(partOf(f.key)), root, f.up, f.types, f.flags, byte(f.class))
		b = appendString(b, f.name.Value())
		if f.flags&fieldEnum != 0 {
			b = appendString(b, f.enum.Value())
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(f.values))
		b = binary.LittleEndian.AppendUint64(b, uint64(f.matches))
		for _, n := range [...]uint64{
			uint64(f.seen), uint64(f.present), uint64(f.objects), uint64(f.formats), uint64(f.shortest), uint64(f.longest),
			uint64(math.Float32bits(f.least)), uint64(math.Float32bits(f.most)),
		} {
			b = binary.AppendUvarint(b, n)
		}
	}
	return b
}

// decode reads what append wrote. A field's key follows from its name and its
// parent's key, and keys have to grow, so that what was read can be searched.
func (s *schema) decode(b []byte) error {
	r := reader{b: b}
	s.calls, s.learnt, s.all = uint32(r.uvarint()), uint32(r.uvarint()), valueSet(r.fixed64())
	count := map[part]int{}
	for len(r.b) > 0 && r.err == nil {
		p, root, up := part(r.byte()), r.byte() == 1, r.byte()
		f := field{up: up, types: r.byte(), flags: r.byte(), class: class(r.byte())}
		name := r.string()
		switch {
		case r.err != nil || p >= numParts || len(name) > maxFieldName || f.class >= numClasses || len(s.fields) == maxAllFields:
			return errState
		case root && int(up) == len(s.fields):
			f.key = rootKey(p, name)
		case !root && int(up) < len(s.fields) && partOf(s.fields[up].key) == p && depthOf(s.fields[up].key) < maxFieldDepth:
			f.key = childKey(s.fields[up].key, name)
		default:
			return errState
		}
		if n := len(s.fields); n > 0 && s.fields[n-1].key >= f.key || count[p] == maxFields[p] {
			return errState
		}
		count[p]++
		f.name, f.hint = unique.Make(name), hintOf(name)
		if f.flags&fieldEnum != 0 {
			enum := r.string()
			if len(enum) > maxEnum*(maxEnumValue+1) || strings.Count(enum, "\n") >= maxEnum {
				return errState
			}
			f.enum = unique.Make(enum)
		}
		f.values, f.matches = valueSet(r.fixed64()), valueSet(r.fixed64())
		f.seen, f.present, f.objects = uint32(r.uvarint()), uint32(r.uvarint()), uint32(r.uvarint())
		f.formats, f.shortest, f.longest = format(r.uvarint()), uint16(r.uvarint()), uint16(r.uvarint())
		f.least, f.most = math.Float32frombits(uint32(r.uvarint())), math.Float32frombits(uint32(r.uvarint()))
		if math.IsNaN(float64(f.least)) || math.IsNaN(float64(f.most)) {
			return errState
		}
		s.fields = append(s.fields, f)
	}
	s.fields = slices.Clip(slices.Clone(s.fields))
	return r.err
}
