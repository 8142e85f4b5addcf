//go:build integration

package e2e

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

// What others do to the bindings of Gatehouse is seen and put right; what only looks
// like one is told and left alone. Panic takes everything back and lends nothing more.
func TestIntegrationLendDriftAndPanic(t *testing.T) {
	c := newLendingCluster(t, "API", "")
	c.configure(t, c.ada, blueIntegration, blueFlows, "blue")
	s := c.guard(t, c.alice, "tools")
	grant := c.alice.until(t, c.alice.borrow(t, "blue", "tools", "pod-reader", "30m").Grant, access.Active).ID
	binding := strings.TrimSpace(c.kubectl(t, "", "-n", "tools", "get", "rolebindings", "-o", "name"))
	has := func(want bool) {
		t.Helper()
		eventually(t, time.Minute, func() error {
			if s.fresh(t).allowed != want {
				return errors.New("the API server does not go by it")
			}
			return nil
		})
	}

	// Whoever compares is told of what differs, and the exit status says whether it is left.
	compare := func(finds string, left bool) {
		t.Helper()
		if out, complaint, err := c.ada.try(t, "integration", "reconcile", "blue"); (err != nil) != left || !strings.Contains(out, finds) {
			t.Errorf("comparing does not find %q: %v\n%s%s", finds, err, out, complaint)
		}
	}

	// Taken away by hand.
	c.kubectl(t, "", "-n", "tools", "delete", binding)
	has(false)
	compare("it is put there again", false)
	has(true)

	// Widened by hand.
	c.kubectl(t, `[{"op":"add","path":"/subjects/-","value":{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"gatehouse:`+bob+`"}}]`,
		"-n", "tools", "patch", binding, "--type", "json", "--patch-file", "/dev/stdin")
	compare("written again", false)
	eventually(t, time.Minute, func() error {
		if text := c.kubectl(t, "", "-n", "tools", "get", binding, "-o", "jsonpath={.subjects}"); strings.Contains(text, bob) {
			return errors.New("bob is in it still: " + text)
		}
		return nil
	})

	// A copy with our marks that no grant explains.
	var object map[string]any
	if err := json.Unmarshal([]byte(c.kubectl(t, "", "-n", "tools", "get", binding, "-o", "json")), &object); err != nil {
		t.Fatal(err)
	}
	marks := object["metadata"].(map[string]any)
	object["metadata"] = map[string]any{"name": "a-copy", "namespace": "payments", "labels": marks["labels"], "annotations": marks["annotations"]}
	c.kubectl(t, mustJSON(t, object), "create", "-f", "-")
	compare("a-copy", true)
	if left := c.kubectl(t, "", "-n", "payments", "get", "rolebindings", "-o", "name"); !strings.Contains(left, "a-copy") {
		t.Error("an orphan was deleted though nobody said so")
	}
	c.kubectl(t, "", "-n", "payments", "delete", "rolebinding", "a-copy")

	// Panic: gone at once, and nothing comes in behind it.
	pressed := time.Now()
	c.ada.do(t, "access", "panic", "--integration", "blue", "--reason", "the cluster is under attack", "--yes")
	g := c.alice.until(t, grant, access.Ended)
	has(false)
	if late := s.late(pressed, g.EndingAt); late > onTime || g.EndReason != access.Panic {
		t.Errorf("gone %s after panic: %+v", late, g)
	}
	if out, complaint, err := c.alice.try(t, "access", "request", "--no-wait", "-i", "blue", "-r", "tools", "-p", "pod-reader", "-d", "5m", "-j", "INC-9"); err == nil {
		t.Errorf("after panic something is lent: %s%s", out, complaint)
	}
	var stops []access.Stop
	c.ada.ask(t, &stops, "access", "stops")
	if len(stops) != 1 {
		t.Fatalf("the stops are %+v", stops)
	}
	c.ada.do(t, "access", "lift", stops[0].ID, "--reason", "over")
	c.alice.until(t, c.alice.borrow(t, "blue", "tools", "pod-reader", "2s").Grant, access.Ended)
	if n := c.bindings(t); n != 0 {
		t.Errorf("%d bindings are left", n)
	}
	c.verified(t, "drift.found", "drift.mended", "panic.used", "panic.lifted")
	c.told(t, "drift.found", "panic.used", "panic.lifted")
	c.keepsSecrets(t, c.ada, c.k8sSecrets(t)...)
}
