package deploy

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"
)

// chart is the Helm chart. The manifests are rendered from its templates too, so
// that the two cannot say different things.
//
//go:embed chart
var chart embed.FS

// chartFunctions are those of Helm's functions that the templates use, and no others:
// a template that needs one more fails here before Helm sees it.
var chartFunctions = template.FuncMap{
	"toJson": func(v any) (string, error) {
		text, err := json.Marshal(v)
		return string(text), err
	},
	"toYaml": func(v any) (string, error) {
		text, err := marshalYAML(v)
		return strings.TrimSuffix(string(text), "\n"), err
	},
	"indent": func(n int, text string) string {
		pad := strings.Repeat(" ", n)
		return pad + strings.ReplaceAll(text, "\n", "\n"+pad)
	},
	"sha256sum": func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	},
}

// manifests renders the chart's templates for one namespace, in the order in which
// they are applied. A template that gives nothing gives no file.
func manifests(namespace string, values map[string]any) ([]File, error) {
	return manifestsOf("chart/templates/*.yaml", namespace, values)
}

// manifestsOf renders the templates that a pattern matches.
func manifestsOf(pattern, namespace string, values map[string]any) ([]File, error) {
	templates, err := fs.Glob(chart, pattern)
	if err != nil {
		return nil, fmt.Errorf("reading the chart: %w", err)
	}
	data := map[string]any{"Values": values, "Release": map[string]any{"Namespace": namespace}}
	var files []File
	for _, name := range templates {
		text, err := chart.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading the chart: %w", err)
		}
		t, err := template.New(path.Base(name)).Funcs(chartFunctions).Option("missingkey=zero").Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("reading the chart: %w", err)
		}
		var b bytes.Buffer
		if err := t.Execute(&b, data); err != nil {
			return nil, fmt.Errorf("rendering the chart: %w", err)
		}
		if rendered := strings.TrimSpace(b.String()); rendered != "" {
			files = append(files, File{path.Base(name), []byte(rendered + "\n")})
		}
	}
	return files, nil
}

// manifestNames are the files that manifests come in.
func manifestNames() []string {
	templates, err := fs.Glob(chart, "chart/templates/*.yaml")
	if err != nil {
		panic(fmt.Sprintf("deploy: the chart's pattern: %v", err))
	}
	names := make([]string, 0, len(templates))
	for _, name := range templates {
		names = append(names, path.Base(name))
	}
	return names
}

// valueRemarks stand above the values in values.yaml.
var valueRemarks = map[string]string{
	"config":           "gatehouse.yaml; docs/configuration.md lists the settings. Secrets do not belong here.",
	"createNamespace":  "Helm puts its own record into the namespace, so the namespace is there before the chart.",
	"egressPorts":      "TCP ports that the pod may reach, beside DNS.",
	"env":              "Variables of the pod: name and value, or name, secret and key.",
	"lender":           "What lending needs in the cluster: rules of the cluster role, and the group or user that has it.",
	"metricsNamespace": "Namespace whose pods may read the metrics.",
	"roleARN":          "Role of the service account; empty with EKS Pod Identity.",
	"storageClass":     "Empty: the cluster's own.",
}

// chartFiles is the chart with its values.
func chartFiles(values map[string]any) ([]File, error) {
	values = maps.Clone(values)
	// Helm stores the release in the namespace, which must be there before.
	values["createNamespace"] = false
	root := mapping()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		var n yaml.Node
		if err := n.Encode(values[key]); err != nil {
			return nil, fmt.Errorf("writing the chart's values: %w", err)
		}
		put(root, key, valueRemarks[key], &n)
	}
	text, err := encodeYAML(root)
	if err != nil {
		return nil, err
	}
	files := []File{{"values.yaml", text}}
	err = fs.WalkDir(chart, "chart", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := chart.ReadFile(name)
		if err != nil {
			return err
		}
		files = append(files, File{strings.TrimPrefix(name, "chart/"), text})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the chart: %w", err)
	}
	return files, nil
}

func marshalYAML(v any) ([]byte, error) {
	var n yaml.Node
	if err := n.Encode(v); err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	return encodeYAML(&n)
}
