package deploy

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/config"
)

// hostile are texts that mean something in one of the languages that they pass.
var hostile = []string{
	`"`, `'`, "`", `\`, "${aws:username}", "${AWS::AccountId}", "$(HOME)", "%{ if true }", "{{ .Values.image }}", "{{resolve:ssm:x}}", "!Sub x", "!!binary x", "&a", "*a", "# no comment", ": ", "- ", "--- ", "...",
	"\n", "\nevil: true", "\t", "}]}", "yes", "null", "~", "1e3", "0x10", "012", "é", "日本", "👩‍👩‍👧", "\u00a0", "\u0085", "\u2028", "\ufeff", "\x00", "\x7f", "<b>&", " leading", "trailing ", "@", "%", "|", ">", "000000000000",
}

// hostileText draws text with such pieces in it.
func hostileText(t *rapid.T, name string) string {
	return strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(hostile), rapid.StringMatching(`[a-z0-9,=:/]{0,6}`), rapid.String()), 0, 5).Draw(t, name), "")
}

// What a variable of the pod is given arrives in it as it is, whatever it holds, or is
// refused; and the folder's own parameters write the same again.
func TestVariablesOfThePodStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	arrived, drawn := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		if drawn++; drawn > 5*tries() {
			return
		}
		want := hostileText(rt, "value")
		v := one("image", podImage, "environment", "GATEHOUSE_FIRST=1", "environment", "NOTE="+want, "external-id", rapid.SampledFrom([]string{"1e3", "null", "0x10", "a:b"}).Draw(rt, "external id"))
		out, err := kubernetes.Render(Kubernetes, v)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				rt.Fatal(err)
			}
			return
		}
		arrived++
		pod := readObject(rt, string(fileOf(out, "40-deployment.yaml")))
		env := at(rt, pod, "spec.template.spec.containers.0.env").([]any)
		if diff := cmp.Diff([]any{map[string]any{"name": "GATEHOUSE_FIRST", "value": "1"}, map[string]any{"name": "NOTE", "value": want}}, env); diff != "" {
			rt.Errorf("(- given, + in the pod)\n%s", diff)
		}
		checkReadme(rt, kubernetes, out)
	})
	if arrived == 0 {
		t.Error("nothing arrived")
	}
}

// A value of any parameter is refused, or stands in the output as it was given: no
// parameter of a stack adds anything to it.
func TestHostileParameters(t *testing.T) {
	t.Parallel()
	asked := map[string]bool{}
	for _, e := range append(examples(), example{"pod", KubernetesStack, one("image", podImage)}) {
		if asked[e.stack] {
			continue // one example of each
		}
		asked[e.stack] = true
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			s, err := Find(e.stack)
			if err != nil {
				t.Fatal(err)
			}
			for i := range s.Parameters {
				p := &s.Parameters[i]
				for _, text := range []string{
					`"}]}`, "${aws:username}", "%{ if true }", "{{resolve:ssm:x}}", "null", "000000000000", "é", p.Example + "\n!Sub x", strings.Repeat("x", maxText+1),
				} {
					checkHostile(t, &e, s, p, text)
				}
			}
		})
	}
}

func checkHostile(t *testing.T, e *example, s *Stack, p *Parameter, text string) {
	t.Helper()
	languages := []Language{Terraform, CloudFormation}
	if s.write != nil {
		languages = []Language{Kubernetes, Helm}
	}
	values := Values{p.Name: {text}}
	for name, v := range e.values {
		if name != p.Name {
			values[name] = v
		}
	}
	for _, language := range languages {
		out, err := s.Render(language, values)
		if err != nil {
			mistake, ok := errors.AsType[*Error](err)
			if !ok || mistake.Mend() == "" || !strings.Contains(err.Error(), "stack "+s.Name) {
				t.Errorf("%s=%q: %v does not say where, why and how", p.Name, text, err)
			}
			return // in the other language too
		}
		if language == languages[0] {
			checkReadme(t, s, out)
		}
		for _, f := range out.Files {
			if strings.HasSuffix(f.Name, ".yaml") && language != Helm {
				checkOneDocument(t, p.Name+"="+text, f)
			}
		}
	}
	if s.write == nil {
		parseBack(t, &example{e.name, e.stack, values})
	}
}

// checkOneDocument sees that a file of YAML is one, and that nothing begins another.
func checkOneDocument(t *testing.T, what string, f File) {
	t.Helper()
	var first, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(f.Text))
	if err := d.Decode(&first); err != nil {
		t.Errorf("%q: %s: %v", what, f.Name, err)
	}
	if err := d.Decode(&more); err == nil && f.Name != lenderManifest {
		t.Errorf("%q: %s has a second document", what, f.Name)
	}
}

// The configuration that another collector's variables come to, with odd values in them:
// the pod is written, and the program reads its configuration or says which variable it
// does not take.
func TestVariablesOfAnotherCollector(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/collector-deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, value, refused string }{
		{"AKTO_BYTES_IN_THRESHOLD", "", ""},
		{"AKTO_BYTES_IN_THRESHOLD", "1", ""},
		{"AKTO_BYTES_IN_THRESHOLD", "-1", "AKTO_BYTES_IN_THRESHOLD"},
		{"AKTO_TRAFFIC_BATCH_TIME_SECS", "", ""},
		{"AKTO_TRAFFIC_BATCH_TIME_SECS", "ten", "AKTO_TRAFFIC_BATCH_TIME_SECS"},
		{"AKTO_TRAFFIC_BATCH_SIZE", " 100 ", ""},
		{"AKTO_TRAFFIC_BATCH_SIZE", "1e2", "AKTO_TRAFFIC_BATCH_SIZE"},
		{"AKTO_KAFKA_BROKER_MAL", "b1:9092,b2:9093", ""},
		{"AKTO_KAFKA_BROKER_MAL", "kafka://b1:9092, b2", ""},
		{"AKTO_KAFKA_BROKER_MAL", "[fd00::1]:9092", ""},
		{"CLOUDWATCH_READ_BATCH_SIZE", "", ""},
		{"CLOUDWATCH_READ_BATCH_SIZE", "0", "CLOUDWATCH_READ_BATCH_SIZE"},
		{"CROSS_ACCOUNT_ROLE_ARN", "", ""},
		{"CROSS_ACCOUNT_ROLE_ARN", "arn:aws:iam::222233334444:role/Reader, arn:aws:iam::333344445555:role/path/Reader,", ""},
		{"CROSS_ACCOUNT_ROLE_ARN", "Reader", "CROSS_ACCOUNT_ROLE_ARN"},
		{"LOG_GROUP_PREFIX", "", ""},
		{"LOG_GROUP_PREFIX", "/aws/apigateway/", ""},
		{"SESSION_NAME", "", ""},
		{"SESSION_NAME", "akto@example.com", ""},
		{"AWS_REGION", "", ""},
		{"AWS_REGION", "us-gov-west-1", ""},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			t.Parallel()
			v, err := ReadDeployment([]byte(withVariable(t, string(text), c.name, c.value)))
			if err != nil {
				t.Fatal(err)
			}
			v["image"] = []string{podImage}
			err = podConfiguration(t, v)
			switch {
			case c.refused == "" && err != nil:
				t.Error(err)
			case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
				t.Errorf("%v, want one about %s", err, c.refused)
			}
		})
	}
}

// withVariable gives a variable of a manifest another value.
func withVariable(tb testing.TB, text, name, value string) string {
	tb.Helper()
	before, after, ok := strings.Cut(text, "- name: "+name+"\n")
	if !ok {
		tb.Fatalf("there is no variable %s", name)
	}
	_, rest, _ := strings.Cut(after, "\n")
	return before + "- name: " + name + "\n            value: '" + value + "'\n" + rest
}

// podConfiguration reads the configuration that the pod of the parameters would start
// with.
func podConfiguration(tb testing.TB, v Values) error {
	tb.Helper()
	files := renderPod(tb, Kubernetes, v)
	text, _ := at(tb, readObject(tb, files["20-configmap.yaml"]), "data").(map[string]any)["gatehouse.yaml"].(string)
	file := filepath.Join(tb.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	env := map[string]string{}
	list, _ := at(tb, readObject(tb, files["40-deployment.yaml"]), "spec.template.spec.containers.0.env").([]any)
	for _, item := range list {
		variable := item.(map[string]any)
		value, _ := variable["value"].(string)
		env[variable["name"].(string)] = value
	}
	c, err := config.Read(file, os.DevNull, func(key string) string { return env[key] })
	if err == nil {
		err = c.Validate()
	}
	return err
}
