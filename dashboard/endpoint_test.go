package dashboard_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// A WebSocket endpoint has the kind of event where others have a method; its
// route is known by its key.
func TestWebSocketRouteIsFound(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	var ids []string
	for _, d := range w.Details {
		if d.APIType == transaction.WebSocket {
			d.Method = "MESSAGE"
			ids = append(ids, d.ID)
		}
	}
	s := open(t, w)
	for _, id := range ids {
		if page := s.page("/inventory/" + id); strings.Contains(page, "no such route") {
			t.Errorf("the route of %s is said not to exist", id)
		}
	}
	if len(ids) == 0 {
		t.Error("there is no WebSocket endpoint")
	}
}
