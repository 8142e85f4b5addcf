package eks

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
)

// The variables of principal_arn.
const (
	principalPerson = "{{person}}"
	principalPolicy = "{{policy}}"
)

// principals says which IAM role a person's access policies are on.
type principals struct {
	template string
	byPerson map[string]string
}

var (
	rolePart   = regexp.MustCompile(`^[\w+=,.@-]+$`)
	policyName = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z]{0,127}$`)
)

// readPrincipals reads principal_arn, principals and shared_principal. A role that
// several people may assume gives each of them what any of them is lent, so a template
// without the person in it has to be asked for in so many words.
func readPrincipals(i *access.Integration) (principals, error) {
	p := principals{template: strings.TrimSpace(i.Config[keyPrincipal]), byPerson: map[string]string{}}
	shared := strings.TrimSpace(i.Config[keyShared])
	if shared != "" && shared != "true" && shared != "false" {
		return p, field(i, keyShared, "write true or false", "%q is neither", shared)
	}
	seen := map[string]string{}
	for _, line := range list(i.Config[keyPrincipals]) {
		person, arn, ok := strings.Cut(line, "=arn:")
		arn = "arn:" + arn
		switch {
		case !ok || person == "" || !roleARNShape.MatchString(arn):
			return p, field(i, keyPrincipals, "write alice@example.com=arn:aws:iam::ACCOUNT:role/NAME, one a line; sessions (arn:aws:sts:…) have no entries", "%q is not a person and a role", line)
		case p.byPerson[person] != "" && p.byPerson[person] != arn:
			return p, field(i, keyPrincipals, "give each person one role", "%s has two", person)
		case seen[arn] != "" && seen[arn] != person && shared != "true":
			return p, field(i, keyPrincipals, "give each person a role of their own, or set config."+keyShared+" to true", "%s and %s have one role, and each would have what is lent to the other", seen[arn], person)
		}
		p.byPerson[person], seen[arn] = arn, person
	}
	if p.template == "" {
		if len(p.byPerson) == 0 {
			return p, field(i, keyPrincipal, "write the ARN of people's roles, such as arn:aws:iam::ACCOUNT:role/people/eks-{{person}}, or config."+keyPrincipals, "it is missing")
		}
		return p, nil
	}
	example, err := p.of("alice@example.com", "AmazonEKSViewPolicy")
	switch {
	case err != nil:
		return p, field(i, keyPrincipal, "write arn:aws:iam::ACCOUNT:role/NAME with {{person}} in the name; sessions (arn:aws:sts:…) have no entries", "%q comes to %q, which is no IAM role", p.template, example)
	case !strings.Contains(p.template, principalPerson) && shared != "true":
		return p, field(i, keyPrincipal, "put {{person}} into the name, or set config."+keyShared+" to true", "everybody who may assume the role would have what is lent to anybody")
	}
	return p, nil
}

// of is the role of a person for a policy.
func (p principals) of(person, policy string) (string, error) {
	if arn := p.byPerson[person]; arn != "" {
		return arn, nil
	}
	if p.template == "" {
		return "", fmt.Errorf("%s has no role in config.%s", person, keyPrincipals)
	}
	if strings.Contains(p.template, principalPerson) && !rolePart.MatchString(person) {
		return "", fmt.Errorf("%q has a character that the name of an IAM role cannot have; give this person a role in config.%s", person, keyPrincipals)
	}
	arn := strings.NewReplacer(principalPerson, person, principalPolicy, policy).Replace(p.template)
	if !roleARNShape.MatchString(arn) {
		return arn, fmt.Errorf("%q is not the ARN of an IAM role, whose name has at most 64 characters; give %s a role in config.%s", arn, person, keyPrincipals)
	}
	return arn, nil
}

// holders are the people whose role a principal is, as far as the list says.
func (p principals) holders(arn string) []string {
	var all []string
	for person, role := range p.byPerson {
		if role == arn {
			all = append(all, person)
		}
	}
	slices.Sort(all)
	return all
}
