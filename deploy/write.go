package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Names of files that are spoken of in more than one place.
const (
	templateFile = "template.yaml"
	readmeFile   = "README.md"
)

// leftovers are files that the same command writes for other parameters, and that
// would be applied with the rest if they stayed.
func leftovers(language Language) []string {
	switch language {
	case Terraform:
		return []string{spokeTemplate, lenderManifest}
	case CloudFormation:
		return []string{lenderManifest}
	case Kubernetes:
		// A chart in the same folder is no manifest: kubectl would stop at it.
		return append(manifestNames(), "Chart.yaml", "values.yaml")
	default:
		return nil
	}
}

// Write writes the files into a folder, which is made if it is not there. A file
// that is there with other text, or that the same command wrote for other
// parameters, is left as it is and is an error, unless replace is set: somebody may
// have changed it by hand. Then it is replaced, and removed if it is no longer
// written. Other files stay, such as those of Terraform's state. Files are looked at
// before any is written, and each is there whole or not at all.
func (o *Output) Write(dir string, replace bool) error {
	changed, left, err := o.compare(dir, replace)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	var temporary []string
	defer func() {
		for _, name := range temporary {
			_ = os.Remove(name)
		}
	}()
	for _, f := range changed {
		name, err := prepare(filepath.Join(dir, f.Name), f.Text)
		if name != "" {
			temporary = append(temporary, name)
		}
		if err != nil {
			return fmt.Errorf("writing the stack: %w", err)
		}
	}
	for i, f := range changed {
		if err := os.Rename(temporary[i], filepath.Join(dir, f.Name)); err != nil {
			return fmt.Errorf("writing the stack: %w", err)
		}
	}
	for _, name := range left {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("removing what is no longer written: %w", err)
		}
	}
	return nil
}

// compare returns the files that are to be written and those to be removed.
func (o *Output) compare(dir string, replace bool) (changed []File, left []string, err error) {
	written := make([]string, 0, len(o.Files))
	for _, f := range o.Files {
		written = append(written, f.Name)
		there, err := os.ReadFile(filepath.Join(dir, f.Name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			changed = append(changed, f)
		case err != nil:
			return nil, nil, fmt.Errorf("looking at what is there: %w", err)
		case bytes.Equal(there, f.Text):
		case !replace:
			return nil, nil, fmt.Errorf("%s is there with other text", filepath.Join(dir, f.Name))
		default:
			changed = append(changed, f)
		}
	}
	for _, name := range leftovers(o.language) {
		if slices.Contains(written, name) {
			continue
		}
		switch _, err := os.Lstat(filepath.Join(dir, name)); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, nil, fmt.Errorf("looking at what is there: %w", err)
		case !replace:
			return nil, nil, fmt.Errorf("%s is there and is not part of what is written, but would be applied with it", filepath.Join(dir, name))
		default:
			left = append(left, name)
		}
	}
	return changed, left, nil
}

// prepare writes a file beside the one that it is to become, and returns its name.
// A file that is there keeps its mode; a new one is its owner's alone, as the external
// id is in it.
func prepare(path string, text []byte) (string, error) {
	mode := fs.FileMode(0o600)
	if there, err := os.Stat(path); err == nil {
		if there.IsDir() {
			return "", fmt.Errorf("%s is a folder", path)
		}
		mode = there.Mode().Perm()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".gatehouse-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	return f.Name(), errors.Join(err, f.Close())
}

// Join returns the files as one text that is applied as it is: a template, the
// manifests of a stack as one stream of YAML, or its Terraform as one file. The
// names of files that have no part in it are left. A stack that Terraform reads a
// second file for, and a chart, cannot be one text.
func (o *Output) Join() (text []byte, left []string, err error) {
	var parts [][]byte
	for _, f := range o.Files {
		switch {
		case f.Name == readmeFile || o.language == CloudFormation && f.Name != templateFile || f.Name == lenderManifest:
			left = append(left, f.Name)
		case o.language == Helm || o.language == Terraform && !strings.HasSuffix(f.Name, ".tf"):
			return nil, nil, fmt.Errorf("%s stands by itself, so the stack cannot be one text", f.Name)
		default:
			parts = append(parts, f.Text)
		}
	}
	between := "\n"
	if o.language == Kubernetes {
		between = "---\n"
	}
	return bytes.Join(parts, []byte(between)), left, nil
}
