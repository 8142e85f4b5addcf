package api

import (
	"context"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/identity"
)

// AccessPaging says which page of a list is asked for.
type AccessPaging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string `query:"cursor" maxLength:"500" doc:"The next of the page before."`
}

// accessFilter chooses what is listed, for who is signed in.
type accessFilter[Q any] interface {
	query(who flow.Person) Q
}

// accessList is something of lending that is listed in pages and exported whole: Q asks
// for it, the desk answers V, and the API shows T.
type accessList[Q, V, T any] struct {
	s       *server
	read    func(ctx context.Context, who flow.Person, q Q, p AccessPaging) (some []*V, next string, total int, err error)
	show    func(*V) T
	name    string // of the file
	columns []string
	row     func(*V) []string
}

// page reads one page.
func (l *accessList[Q, V, T]) page(ctx context.Context, f accessFilter[Q], p AccessPaging) (out []T, next string, total int, err error) {
	who, _, err := borrower(ctx, identity.Requester)
	if err != nil {
		return nil, "", 0, err
	}
	some, next, total, err := l.read(ctx, who, f.query(who), p)
	if err != nil {
		return nil, "", 0, l.s.accessError(ctx, err)
	}
	out = make([]T, len(some))
	for i := range some {
		out[i] = l.show(some[i])
	}
	return out, next, total, nil
}

// export reads every page before the first row is written, so that an export that fails
// half-way does not look like a whole one.
func (l *accessList[Q, V, T]) export(ctx context.Context, f accessFilter[Q]) (*huma.StreamResponse, error) {
	who, _, err := borrower(ctx, identity.Requester)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for p := (AccessPaging{Limit: 1000}); ; {
		some, next, _, err := l.read(ctx, who, f.query(who), p)
		if err != nil {
			return nil, l.s.accessError(ctx, err)
		}
		for _, v := range some {
			rows = append(rows, l.row(v))
		}
		if p.Cursor = next; next == "" {
			return csvAnswer(l.name, l.s.Clock(), l.columns, slices.Values(rows)), nil
		}
	}
}
