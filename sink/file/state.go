package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// stateFile is the content of .transactions.json.
type stateFile struct {
	// Active is the identity of the active file.
	Active identity `json:"active"`
	// Beginning, if given, is the identity of the first file of this state:
	// no position is known to have been committed since.
	Beginning identity `json:"beginning,omitempty"`
}

// readState reads the note. One that is missing or broken is empty: what it
// says can then only be guessed from the names of the files.
func (s *Sink) readState() (stateFile, error) {
	var note stateFile
	f, err := s.fs.OpenFile(s.path(stateName), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return note, nil
	}
	if err != nil {
		return note, s.mendable(fmt.Errorf("reading the file sink's note: %w", err))
	}
	content, err := io.ReadAll(io.LimitReader(f, 4096))
	_ = f.Close()
	if err != nil {
		return note, s.mendable(fmt.Errorf("reading the file sink's note: %w", err))
	}
	if err := json.Unmarshal(content, &note); err == nil {
		_, err = parseIdentity(string(note.Active))
		if err == nil && note.Beginning != "" {
			_, err = parseIdentity(string(note.Beginning))
		}
		if err == nil {
			return note, nil
		}
	}
	s.config.Logger.Warn("file sink: its note is not readable and is written anew", "file", s.path(stateName))
	return stateFile{}, nil
}

// writeState replaces the note, all or nothing.
func (s *Sink) writeState(note stateFile) error {
	if note == s.note {
		return nil
	}
	content, err := json.Marshal(note)
	if err != nil {
		return fmt.Errorf("writing the file sink's note: %w", err)
	}
	name := s.path(stateName)
	err = s.writeWhole(name+temporaryEnd, content)
	if err == nil {
		err = s.fs.Rename(name+temporaryEnd, name)
	}
	if err == nil {
		err = s.fs.SyncDir(s.config.Dir)
	}
	if err != nil {
		return s.mendable(fmt.Errorf("writing the file sink's note: %w", err))
	}
	s.note = note
	return nil
}

func (s *Sink) writeWhole(name string, content []byte) error {
	f, err := s.fs.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// forgetBeginning takes the note of the beginning out once a position has
// surely been committed. The collector commits one position after the other:
// when a second one was handed out and another batch comes, the commit of the
// first is done, even if that of the second is still under way.
func (s *Sink) forgetBeginning() error {
	if s.note.Beginning == "" {
		return nil
	}
	s.mu.Lock()
	handouts := s.handouts
	s.mu.Unlock()
	if handouts < 2 {
		return nil
	}
	note := s.note
	note.Beginning = ""
	return s.writeState(note)
}
