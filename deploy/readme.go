package deploy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// readme writes what someone needs who finds the folder. The size is that of the template
// in bytes.
func (m *model) readme(s *Stack, language Language, in *input, size int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Gatehouse: %s\n\n%s.\n\n%s\n", s.Name, strings.ToUpper(s.Summary[:1])+s.Summary[1:], strings.Join(wrap(s.About, 88), "\n"))
	b.WriteString("\n## Deploy\n\n")
	for _, c := range m.cautions {
		fmt.Fprintf(&b, "Before that: %s\n\n", strings.Join(wrap(c, 88), "\n"))
	}
	if language == Terraform {
		fmt.Fprintf(&b, "    terraform init\n    terraform plan -out plan\n    terraform apply plan\n\n"+
			"Needs Terraform %s and the AWS provider %s. With credentials of the account\n%s; in another one it stops.\n", terraformVersion, providerVersion, m.account)
	} else {
		region := ""
		if m.region != "" {
			region = " --region " + m.region
		}
		bucket := ""
		if size > maxTemplateBody {
			bucket = " \\\n      --s3-bucket BUCKET"
		}
		fmt.Fprintf(&b, "    aws cloudformation deploy%s --stack-name gatehouse-%s \\\n      --template-file %s --capabilities CAPABILITY_NAMED_IAM%s\n", region, s.Name, templateFile, bucket)
		if m.account != anyAccount {
			fmt.Fprintf(&b, "\nWith credentials of the account %s; in another one it stops.\n", m.account)
		}
	}
	for _, n := range m.notes {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", n.heading, strings.TrimSpace(n.text))
	}
	b.WriteString("\n## Written for\n\nNames are written out, so that each policy is exactly what was checked. To change\none, write the folder again:\n\n")
	fmt.Fprintf(&b, "    gatehouse deploy %s %s --out DIR --params params.yaml\n\nwith this params.yaml:\n\n", language, s.Name)
	b.WriteString(in.parameters(s))
	return []byte(b.String())
}

// parameters writes the file of parameters that a stack was written from, indented
// as code.
func (in *input) parameters(s *Stack) string {
	var b strings.Builder
	for i := range s.Parameters {
		p := &s.Parameters[i]
		values := in.values[p.Name]
		switch {
		case len(values) == 0:
		case p.List:
			fmt.Fprintf(&b, "    %s:\n", p.Name)
			for _, v := range values {
				fmt.Fprintf(&b, "      - %s\n", singleQuoted(v))
			}
		default:
			fmt.Fprintf(&b, "    %s: %s\n", p.Name, singleQuoted(values[0]))
		}
	}
	return b.String()
}

// singleQuoted is a value as YAML. Signs that a line cannot hold are escaped, which
// only double quotes allow.
func singleQuoted(text string) string {
	if strings.ContainsAny(text, "\n\t") {
		quoted, _ := json.Marshal(text) // text is always JSON, and JSON's escapes are YAML's
		return string(quoted)
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
