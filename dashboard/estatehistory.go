package dashboard

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/gatehouse-project/gatehouse/estate"
)

// changesPerPage bounds the panel of what changed.
const changesPerPage = 30

// historyData is the panel of what changed in the estate.
type historyData struct {
	Changes []changeRow
	Kinds   []option
	Kind    string
	Older   string
	Latest  string
	Fault   string // why there is nothing to show
	Mend    string
}

type changeRow struct {
	estate.Change
	Badge   badge
	Account string
	Title   string
}

// estateHistory reads what changed; a failure takes nothing away from the estate
// above it.
func (s *server) estateHistory(ctx context.Context, v url.Values) *historyData {
	if s.History == nil {
		return nil
	}
	path := s.BasePath + "/estate"
	d := &historyData{Kind: v.Get("change")}
	for _, kind := range []estate.ChangeKind{estate.Appeared, estate.Changed, estate.Went} {
		d.Kinds = append(d.Kinds, option{Title: string(kind), Value: with(path, v, "change", string(kind), "changes", "") + "#changes", Chosen: d.Kind == string(kind)})
	}
	d.Kinds = append([]option{{Title: "all", Value: with(path, v, "change", "", "changes", "") + "#changes", Chosen: d.Kind == ""}}, d.Kinds...)
	page, err := s.History.EstateHistory(ctx, estate.HistoryQuery{Kind: estate.ChangeKind(d.Kind), Limit: changesPerPage, Cursor: v.Get("changes")})
	var mended interface {
		error
		Mend() string
	}
	switch {
	case errors.Is(err, estate.ErrInvalidQuery):
		d.Fault = "This address does not lead to a page of changes."
	case errors.As(err, &mended):
		d.Fault, d.Mend = mended.Error(), mended.Mend()
	case err != nil:
		s.Logger.ErrorContext(ctx, "dashboard read failed", "what", "the history of the estate", "error", err)
		d.Fault = "The history could not be read. Gatehouse's log says why."
	}
	names := accountNames(s.estate(ctx))
	for i := range page.Changes {
		c := &page.Changes[i]
		d.Changes = append(d.Changes, changeRow{
			Change: *c, Badge: happened(c.Kind), Account: cmp.Or(names[c.Account], c.Account), Title: strings.TrimSpace(cmp.Or(c.Name, c.Subject)),
		})
	}
	if page.Next != "" {
		d.Older = with(path, v, "changes", page.Next) + "#changes"
	}
	if v.Get("changes") != "" {
		d.Latest = with(path, v, "changes", "") + "#changes"
	}
	return d
}

func happened(k estate.ChangeKind) badge {
	switch k {
	case estate.Appeared:
		return badge{"good", "+", "appeared", ""}
	case estate.Went:
		return badge{"bad", "−", "went", ""}
	default:
		return badge{"wait", "±", string(k), ""}
	}
}
