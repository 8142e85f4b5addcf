package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// podManifest is what is read of a manifest of another collector.
type podManifest struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Namespace   string            `yaml:"namespace"`
		Annotations map[string]string `yaml:"annotations"`
	} `yaml:"metadata"`
	Spec struct {
		Template struct {
			Spec struct {
				ServiceAccountName string `yaml:"serviceAccountName"`
				Containers         []struct {
					Env []struct {
						Name      string `yaml:"name"`
						Value     string `yaml:"value"`
						ValueFrom *struct {
							SecretKeyRef *struct {
								Name string `yaml:"name"`
								Key  string `yaml:"key"`
							} `yaml:"secretKeyRef"`
						} `yaml:"valueFrom"`
					} `yaml:"env"`
				} `yaml:"containers"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

// placeholder is what instructions write where a value is to be filled in.
var placeholder = regexp.MustCompile(`<[A-Za-z][\w -]*>`)

// ReadDeployment reads manifests of a collector that Gatehouse takes the place of:
// of its Deployment the variables, the service account and the namespace, of its
// ServiceAccount the role. They are parameters of the stack kubernetes. The namespace
// is there and is left as it is. A value that
// is a secret is not taken over: the parameter then names a key of the Secret
// gatehouse-environment, which is to be made. Placeholders such as <namespace> are
// left out, and are an error in the value of a variable. Errors are of type *Error.
func ReadDeployment(text []byte) (Values, error) {
	fail := func(format string, args ...any) error {
		return &Error{Stack: KubernetesStack, Err: fmt.Errorf(format, args...), Hint: "give the manifest of one Deployment with one container"}
	}
	if len(text) > maxParameters {
		return nil, fail("the manifest has %d bytes, at most %d are read", len(text), maxParameters)
	}
	v, found := Values{}, false
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var m podManifest
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fail("reading the manifest: %w", err)
		}
		switch m.Kind {
		case "ServiceAccount":
			v.known("role-arn", m.Metadata.Annotations["eks.amazonaws.com/role-arn"], checkRoleARN)
		case "Deployment":
			if found || len(m.Spec.Template.Spec.Containers) != 1 {
				return nil, fail("there is more than one container, or none")
			}
			found = true
			v.known("namespace", m.Metadata.Namespace, checkDNSLabel)
			if len(v["namespace"]) > 0 {
				// It is there, and its other pods are not to be held to another standard.
				v["create-namespace"] = []string{"false"}
			}
			v.known("service-account", m.Spec.Template.Spec.ServiceAccountName, checkDNSLabel)
			for _, e := range m.Spec.Template.Spec.Containers[0].Env {
				switch {
				case placeholder.MatchString(e.Value):
					return nil, &Error{
						Stack: KubernetesStack, Err: fmt.Errorf("the variable %s still has the placeholder %s", clip(e.Name), placeholder.FindString(e.Value)),
						Hint: "put what it stands for in its place",
					}
				case e.ValueFrom != nil && e.ValueFrom.SecretKeyRef == nil:
					return nil, &Error{
						Stack: KubernetesStack, Err: fmt.Errorf("the variable %s comes from something that is neither a value nor a Secret", clip(e.Name)),
						Hint: "write its value into the manifest, or take it out and give it with environment",
					}
				case e.ValueFrom != nil:
					ref := e.ValueFrom.SecretKeyRef
					v["secret-environment"] = append(v["secret-environment"], e.Name+"="+ref.Name+"/"+ref.Key)
				case e.Value != "" && holdsSecret(e.Name, e.Value):
					v["secret-environment"] = append(v["secret-environment"], e.Name+"=gatehouse-environment/"+e.Name)
				default:
					v["environment"] = append(v["environment"], e.Name+"="+e.Value)
				}
			}
		}
	}
	if !found {
		return nil, fail("there is no Deployment in the manifest")
	}
	return v, nil
}

// known sets a parameter to a value that passes its check.
func (v Values) known(name, value string, check func(string) error) {
	if value != "" && check(value) == nil {
		v[name] = []string{value}
	}
}
