package identity

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	maxPeopleFile = 16 << 20
	maxFilePeople = 50_000
)

// peopleFile is a people file that was read: YAML with one key, users.
type peopleFile struct {
	people []*filePerson // in the order of their addresses
	by     map[string]*filePerson
	digest [sha256.Size]byte
	read   time.Time
	failed string // why the file as it is now cannot be used; else empty
}

type filePerson struct {
	Email      string              `yaml:"email"`
	Name       string              `yaml:"name"`
	Groups     []string            `yaml:"groups"`
	Manager    string              `yaml:"manager"`
	Attributes map[string][]string `yaml:"attributes"`
	Disabled   bool                `yaml:"disabled"`
}

// entry is somebody who never signed in: their id is their address.
func (f *filePerson) entry() Entry {
	name := f.Name
	if name == "" {
		name = f.Email
	}
	return Entry{Person: Person{ID: f.Email, Email: f.Email, Name: name}}
}

// of returns what the file says of an address, or nil.
func (f *peopleFile) of(email string) *filePerson {
	if email == "" {
		return nil
	}
	return f.by[EmailKey(email)]
}

func readPeopleFile(path string) (*peopleFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the people file: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the people file: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(file, maxPeopleFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the people file: %w", err)
	}
	if len(b) > maxPeopleFile {
		return nil, fmt.Errorf("reading the people file: %s is larger than %d bytes", path, maxPeopleFile)
	}
	f, err := parsePeople(b)
	if err != nil {
		return nil, fmt.Errorf("reading the people file %s: %w", path, err)
	}
	f.read = info.ModTime().UTC()
	return f, nil
}

// parsePeople reads the text of a people file. An unknown key, an address that
// comes twice and a text that is no address are errors.
func parsePeople(b []byte) (*peopleFile, error) {
	var text struct {
		Users []*filePerson `yaml:"users"`
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&text); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one document")
	}
	if len(text.Users) > maxFilePeople {
		return nil, fmt.Errorf("it holds more than %d users", maxFilePeople)
	}
	f := &peopleFile{by: make(map[string]*filePerson, len(text.Users)), digest: sha256.Sum256(b)}
	for i, u := range text.Users {
		if u == nil || !isEmail(u.Email) {
			return nil, fmt.Errorf("user %d has no e-mail address", i+1)
		}
		if f.by[EmailKey(u.Email)] != nil {
			return nil, fmt.Errorf("user %d: %s comes twice", i+1, u.Email)
		}
		if !isPlain(u.Name) || !isPlain(u.Manager) || slices.ContainsFunc(u.Groups, func(g string) bool { return g == "" || !isPlain(g) }) {
			return nil, fmt.Errorf("user %d (%s): a name or group is empty or has control characters", i+1, u.Email)
		}
		slices.Sort(u.Groups)
		u.Groups = slices.Compact(u.Groups)
		f.by[EmailKey(u.Email)] = u
		f.people = append(f.people, u)
	}
	slices.SortFunc(f.people, func(a, b *filePerson) int {
		return strings.Compare(EmailKey(a.Email), EmailKey(b.Email))
	})
	return f, nil
}
