package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Language is what a stack is written in.
type Language string

// The languages.
const (
	Terraform      Language = "terraform"
	CloudFormation Language = "cloudformation"
)

// Stack is a stack that can be written.
type Stack struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
	// About says what it is for and in which account it is deployed.
	About      string      `json:"about"`
	Parameters []Parameter `json:"parameters"`

	build func(in *input) (*model, error)
	// write writes a stack that is no list of resources of AWS, in place of build.
	write func(s *Stack, language Language, in *input) ([]File, error)
}

// Stacks returns all stacks, in the order in which they are usually deployed.
func Stacks() []*Stack { return slices.Clone(stacks) }

// Find returns the stack of a name.
func Find(name string) (*Stack, error) {
	names := make([]string, len(stacks))
	for i, s := range stacks {
		if s.Name == name {
			return s, nil
		}
		names[i] = s.Name
	}
	return nil, &Error{Err: fmt.Errorf("there is no stack %q", clip(name)), Hint: "it is one of " + strings.Join(names, ", ")}
}

// File is a file of a stack's folder.
type File struct {
	Name string
	Text []byte
}

// Output is a stack in one language.
type Output struct {
	Files []File
	// Policies are all policy documents in it, whatever the language.
	Policies []Policy
	// Cautions are sentences on what must be seen to before it can be deployed, such
	// as a quota that must be raised. The README has them too.
	Cautions []string

	language Language
}

// Render writes a stack for given parameters. The same input gives the same bytes.
// Mistakes in the parameters are errors of type *Error.
func (s *Stack) Render(language Language, given Values) (*Output, error) {
	in, err := s.resolve(given)
	if err != nil {
		return nil, err
	}
	if s.write != nil {
		files, err := s.write(s, language, in)
		if err != nil {
			return nil, err
		}
		out := &Output{Files: files, language: language}
		if in.text("lending") != lendingOnly && !in.hasSink() {
			out.Cautions = []string{noSink}
		}
		return out, nil
	}
	m, err := s.build(in)
	if err == nil {
		err = m.fit(in)
	}
	if err != nil {
		if _, ok := errors.AsType[*Error](err); ok {
			return nil, err
		}
		return nil, &Error{Stack: s.Name, Err: err}
	}
	out := &Output{Policies: m.policies, language: language}
	switch language {
	case Terraform:
		out.Files = m.terraform(s)
	case CloudFormation:
		text, err := m.cloudFormation(s)
		if err != nil {
			return nil, err
		}
		if err := m.checkTemplate(in, text); err != nil {
			return nil, err
		}
		out.Files = []File{{templateFile, text}}
	default:
		return nil, &Error{Stack: s.Name, Err: fmt.Errorf("%q is no language", clip(string(language))), Hint: "it is terraform or cloudformation"}
	}
	for _, f := range m.files {
		if language == Terraform || f.Name != spokeTemplate {
			out.Files = append(out.Files, f)
		}
	}
	out.Files = append(out.Files, File{readmeFile, m.readme(s, language, in, len(out.Files[0].Text))})
	out.Cautions = m.cautions
	return out, nil
}
