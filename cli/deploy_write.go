package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/deploy"
)

// maxParameters bounds what is read of a file of parameters, in bytes. It is one more
// than package deploy takes, which then says so.
const maxParameters = 1<<20 + 1

// deployFlags are the flags of all commands that write a stack.
type deployFlags struct {
	assignments []string
	file, out   string
	replace     bool
	from        map[string]string // the file that a parameter is from
}

func (d *deployFlags) add(cmd *cobra.Command, lists string) {
	f := cmd.Flags()
	f.StringArrayVar(&d.assignments, "param", nil, "a parameter as `NAME=VALUE`; may be repeated"+lists)
	f.StringVar(&d.file, "params", "", "YAML `file` of parameters; - reads standard input")
	f.StringVar(&d.out, "out", "", "`folder` to write; - writes one text to standard output")
	f.BoolVar(&d.replace, "force", false, "replace files that are there with other text, and remove those that were written for other parameters")
}

// paramSource is a file of parameters.
type paramSource struct {
	name string
	read func([]byte) (deploy.Values, error)
}

// values reads the parameters: those of files in their order, the flag's last.
func (d *deployFlags) values(s *Streams, before ...paramSource) (deploy.Values, error) {
	all := deploy.Values{}
	d.from = map[string]string{}
	for _, from := range append(before, paramSource{d.file, deploy.ReadValues}) {
		if from.name == "" {
			continue
		}
		text, err := readParameters(s, from.name)
		if err != nil {
			return nil, err
		}
		read, err := from.read(text)
		if err != nil {
			return nil, &UsageError{Err: fmt.Errorf("%s: %w", from.name, err)}
		}
		maps.Copy(all, read)
		for name := range read {
			d.from[name] = from.name
		}
	}
	given := deploy.Values{}
	if err := given.Assign(d.assignments...); err != nil {
		return nil, &UsageError{Err: err}
	}
	maps.Copy(all, given)
	for name := range given {
		delete(d.from, name)
	}
	return all, nil
}

func readParameters(s *Streams, name string) ([]byte, error) {
	in := s.In
	if name != "-" {
		f, err := os.Open(filepath.Clean(name))
		if err != nil {
			return nil, fmt.Errorf("reading parameters: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxParameters))
	if err != nil {
		return nil, fmt.Errorf("reading parameters: %w", err)
	}
	return text, nil
}

// write renders a stack and writes it.
func (d *deployFlags) write(s *Streams, stack *deploy.Stack, language deploy.Language, before ...paramSource) error {
	if d.out == "" {
		return withHint(usagef("--out is missing"), "name the folder to write, such as --out "+stack.Name)
	}
	values, err := d.values(s, before...)
	if err != nil {
		return err
	}
	written, err := stack.Render(language, values)
	if err != nil {
		mistake, ok := errors.AsType[*deploy.Error](err)
		switch {
		case !ok:
			return err
		case d.from[mistake.Parameter] != "":
			return &UsageError{Err: fmt.Errorf("%s: %w", d.from[mistake.Parameter], err)}
		}
		return &UsageError{Err: err}
	}
	if d.out == "-" {
		return printStack(s, written)
	}
	if err := written.Write(d.out, d.replace); err != nil {
		return withHint(err, "choose another folder with --out, or replace what is there with --force")
	}
	names := make([]string, 0, len(written.Files))
	for _, f := range written.Files {
		names = append(names, f.Name)
	}
	fmt.Fprintf(s.Err, "wrote %s to %s\n", strings.Join(names, ", "), d.out)
	for _, c := range written.Cautions {
		fmt.Fprintln(s.Err, "note:", c)
	}
	fmt.Fprintf(s.Err, "read %s next\n", filepath.Join(d.out, "README.md"))
	return nil
}

func printStack(s *Streams, written *deploy.Output) error {
	text, left, err := written.Join()
	if err != nil {
		return withHint(&UsageError{Err: err}, "name a folder with --out")
	}
	if _, err := s.Out.Write(text); err != nil {
		return fmt.Errorf("writing the stack: %w", err)
	}
	for _, c := range written.Cautions {
		fmt.Fprintln(s.Err, "note:", c)
	}
	fmt.Fprintf(s.Err, "left out: %s\n", strings.Join(left, ", "))
	return nil
}
