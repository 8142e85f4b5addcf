//go:build integration

package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/eks"
)

// Every form of aws-auth that people write is connected without changing what is in it, or
// left as it is; and the real authenticator goes by what comes of it.
func TestIntegrationConnectEveryForm(t *testing.T) {
	k := newKubeWorld(t, "CONFIG_MAP")
	p := eks.NewRBAC(lenders(t, k))
	c := k.client()
	// Most forms leave Gatehouse's own role out, so an administrator's token is its way in.
	t.Setenv("BLUE_TOKEN", k.token)
	i := &access.Integration{
		Name: "blue", Type: eks.TypeRBAC, Secret: &access.SecretRef{Environment: "BLUE"},
		Config: map[string]string{"cluster_name": k.cluster, "region": region, "access_role_name": peopleRole},
	}
	const path = "/api/v1/namespaces/kube-system/configmaps"
	const node = "- rolearn: arn:aws:iam::" + apiAccount + ":role/nodes\n  username: system:node:{{EC2PrivateDNSName}}\n  groups:\n  - system:bootstrappers\n  - system:nodes\n"
	alice := k.person(t, "alice@example.com")
	for _, form := range []struct {
		name    string
		object  map[string]any
		refused string // in the error; empty: it is connected
	}{
		{"comments", map[string]any{"data": map[string]any{"mapRoles": "# nodes, do not touch\n" + node + "# the end\n"}}, ""},
		{"anchors", map[string]any{"data": map[string]any{"mapRoles": "- &n\n  rolearn: arn:aws:iam::" + apiAccount + ":role/a\n  username: a\n  groups: &g [x]\n- rolearn: arn:aws:iam::" + apiAccount + ":role/b\n  username: b\n  groups: *g\n"}}, ""},
		{"JSON", map[string]any{"data": map[string]any{"mapRoles": `[{"rolearn":"arn:aws:iam::` + apiAccount + `:role/a","username":"a","groups":["x"]}]`}}, ""},
		{"CRLF", map[string]any{"data": map[string]any{"mapRoles": strings.ReplaceAll(node, "\n", "\r\n")}}, ""},
		{"no line end", map[string]any{"data": map[string]any{"mapRoles": strings.TrimSuffix(node, "\n")}}, ""},
		{"twice", map[string]any{"data": map[string]any{"mapRoles": node + node}}, ""},
		{"mapUsers as a text", map[string]any{"data": map[string]any{"mapRoles": node, "mapUsers": "nobody"}}, ""},
		{"binary data beside", map[string]any{"data": map[string]any{"mapRoles": node}, "binaryData": map[string]any{"blob": base64.StdEncoding.EncodeToString([]byte{0, 255, 7})}}, ""},
		{"900 KB", map[string]any{"data": map[string]any{"mapRoles": strings.Repeat("# nothing to see in this line\n", 30_000) + node}}, ""},
		{"nothing in it", map[string]any{}, ""},
		{"an empty section", map[string]any{"data": map[string]any{"mapRoles": ""}}, ""},
		{"immutable", map[string]any{"data": map[string]any{"mapRoles": node}, "immutable": true}, "immutable"},
		{"mapRoles in binary", map[string]any{"data": map[string]any{"mapUsers": "[]"}, "binaryData": map[string]any{"mapRoles": base64.StdEncoding.EncodeToString([]byte(node))}}, "binaryData"},
		{"no YAML", map[string]any{"data": map[string]any{"mapRoles": node + " bad: [\n"}}, "does not parse"},
	} {
		t.Run(form.name, func(t *testing.T) {
			k.call(t, c, k.token, http.MethodDelete, path+"/aws-auth", "application/json", nil)
			form.object["apiVersion"], form.object["kind"] = "v1", "ConfigMap"
			form.object["metadata"] = map[string]any{"name": "aws-auth", "namespace": "kube-system", "labels": map[string]any{"made-by": "terraform"}}
			status, before := k.call(t, c, k.token, http.MethodPost, path, "application/json", form.object)
			if status != http.StatusCreated {
				t.Fatalf("making it: %d %v", status, before)
			}
			_, err := p.Connect(t.Context(), i, eks.Apply)
			_, after := k.call(t, c, k.token, http.MethodGet, path+"/aws-auth", "", nil)
			if form.refused != "" {
				if err == nil || !strings.Contains(err.Error(), form.refused) || mustJSON(t, before) != mustJSON(t, after) {
					t.Errorf("connected: %v; it was %v and is %v", err, before, after)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			was, is := section(before), section(after)
			if kept := strings.TrimSuffix(strings.TrimRight(was, "\r\n"), "]"); !strings.HasPrefix(is, kept) {
				t.Errorf("mapRoles was %.300s and is %.300s", was, is)
			}
			for _, o := range []map[string]any{before, after} {
				delete(o["metadata"].(map[string]any), "resourceVersion")
				delete(o["metadata"].(map[string]any), "managedFields")
				if data, ok := o["data"].(map[string]any); ok {
					if delete(data, "mapRoles"); len(data) == 0 {
						delete(o, "data")
					}
				}
			}
			if mustJSON(t, before) != mustJSON(t, after) {
				t.Errorf("beside mapRoles it was %v and is %v", before, after)
			}
			k.becomes(t, alice, "gatehouse:alice@example.com")
		})
	}

	t.Run("others write all the time", func(t *testing.T) {
		k.call(t, c, k.token, http.MethodDelete, path+"/aws-auth", "application/json", nil)
		if status, answer := k.call(t, c, k.token, http.MethodPost, path, "application/json", map[string]any{
			"metadata": map[string]any{"name": "aws-auth"}, "data": map[string]any{"mapRoles": node},
		}); status != http.StatusCreated {
			t.Fatal(answer)
		}
		// Others add a role each time, with the version that they read.
		end, wrote := make(chan struct{}), 0
		var done sync.WaitGroup
		done.Go(func() {
			for {
				select {
				case <-end:
					return
				case <-time.After(10 * time.Millisecond):
				}
				_, now := k.call(t, c, k.token, http.MethodGet, path+"/aws-auth", "", nil)
				meta := now["metadata"].(map[string]any)
				status, _ := k.call(t, c, k.token, http.MethodPatch, path+"/aws-auth", "application/merge-patch+json", map[string]any{
					"metadata": map[string]any{"resourceVersion": meta["resourceVersion"]},
					"data":     map[string]any{"mapRoles": section(now) + fmt.Sprintf("- rolearn: arn:aws:iam::%s:role/node-%d\n  username: n\n", apiAccount, wrote)},
				})
				if status == http.StatusOK {
					wrote++
				}
			}
		})
		// Whoever loses each of many races is told so, and tries again.
		eventually(t, time.Minute, func() error {
			plan, err := p.Connect(t.Context(), i, eks.Apply)
			if err != nil && !strings.Contains(err.Error(), "others keep writing aws-auth") || err == nil && !plan.Done {
				t.Errorf("connecting: %+v, %v", plan, err)
				return nil
			}
			return err
		})
		close(end)
		done.Wait()
		_, now := k.call(t, c, k.token, http.MethodGet, path+"/aws-auth", "", nil)
		text := section(now)
		for n := range wrote {
			if strings.Count(text, fmt.Sprintf(":role/node-%d\n", n)) != 1 {
				t.Errorf("what others wrote as number %d of %d is lost", n, wrote)
			}
		}
		if strings.Count(text, k.role) != 1 {
			t.Errorf("the role is in it %d times", strings.Count(text, k.role))
		}
	})
}

// section is mapRoles of aws-auth.
func section(o map[string]any) string {
	data, _ := o["data"].(map[string]any)
	text, _ := data["mapRoles"].(string)
	return text
}
