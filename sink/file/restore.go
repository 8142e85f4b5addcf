package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Restore makes the files hold exactly what was delivered until saved was
// handed out. See the package's documentation for each case.
func (s *Sink) Restore(ctx context.Context, saved string) error {
	if s.closed || s.restored {
		return errors.New("file sink: restore must come once, before the first deliver")
	}
	if err := s.restore(ctx, saved); err != nil {
		if s.active != nil {
			s.closeActive()
		}
		return fmt.Errorf("restoring file sink %s: %w", s.config.Dir, err)
	}
	s.mu.Lock()
	s.restored = true
	s.mu.Unlock()
	s.worker = startWorker(s)
	s.worker.wake()
	return nil
}

func (s *Sink) restore(ctx context.Context, saved string) error {
	note, err := s.readState()
	if err != nil {
		return err
	}
	s.note = note
	if err := s.removeTemporary(); err != nil {
		return err
	}
	if saved == "" && note.Beginning == "" {
		return s.firstStart()
	}
	at := position{file: note.Beginning}
	if saved != "" {
		if at, err = parsePosition(saved); err != nil {
			return fmt.Errorf("reading the saved position: %w", err)
		}
	}
	if err := s.restoreTo(ctx, at, saved == ""); err != nil {
		return err
	}
	if saved == "" {
		return nil
	}
	note = s.note
	note.Beginning = ""
	return s.writeState(note)
}

// firstStart begins a new file. Lines that are already there belong to a state
// that is no more: they are kept under a rotated name.
func (s *Sink) firstStart() error {
	info, err := s.fs.Stat(s.path(activeName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return s.mendable(err)
	case info.Size() == 0:
		if err := s.fs.Remove(s.path(activeName)); err != nil {
			return s.mendable(err)
		}
	default:
		id := s.note.Active
		if files, err := s.rotatedFiles(); err != nil {
			return err
		} else if id == "" || slices.ContainsFunc(files, func(r rotated) bool { return r.file >= id }) {
			if id, err = s.nextIdentity(); err != nil {
				return err
			}
		}
		s.config.Logger.Warn("file sink: there are lines and no saved position: keeping them as a rotated file",
			"file", s.path(id.rotatedName()))
		if err := s.fs.Rename(s.path(activeName), s.path(id.rotatedName())); err != nil {
			return s.mendable(err)
		}
	}
	return s.begin(true)
}

// restoreTo makes at the end of the active file. beginning says that at is the
// noted beginning of a state and not a saved position.
func (s *Sink) restoreTo(ctx context.Context, at position, beginning bool) error {
	files, err := s.rotatedFiles()
	if err != nil {
		return err
	}
	var same, later []rotated
	for _, r := range files {
		switch {
		case r.file == at.file:
			same = append(same, r)
		case r.file > at.file:
			later = append(later, r)
		}
	}
	_, err = s.fs.Stat(s.path(activeName))
	isActive := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.mendable(err)
	}
	s.at.file = at.file // so that a new file is later than this one
	switch {
	case len(same) > 0:
		if len(later) > 0 {
			if err := s.setAside(later, isActive); err != nil {
				return err
			}
		}
		if err := s.unrotate(ctx, at, same); err != nil {
			return err
		}
		return s.cutTo(at)
	case isActive && (s.note.Active == at.file || s.note.Active == "" && len(later) == 0):
		return s.cutTo(at)
	case isActive || len(later) > 0:
		s.config.Logger.Warn("file sink: the file of the saved position was removed: setting aside what came after it",
			"position", at.String())
		if err := s.setAside(later, isActive); err != nil {
			return err
		}
	case at.offset > 0:
		s.config.Logger.Warn("file sink: the file of the saved position is gone: beginning a new one", "position", at.String())
	}
	return s.begin(beginning)
}

// unrotate makes the rotated file of at the active one again. What is active
// now is replaced: nobody acknowledged it.
func (s *Sink) unrotate(ctx context.Context, at position, same []rotated) error {
	plain := slices.IndexFunc(same, func(r rotated) bool { return r.codec == "none" })
	from := same[max(plain, 0)]
	source := s.path(from.name)
	if plain < 0 {
		source = s.path(activeName) + temporaryEnd
		if err := s.decompress(ctx, from, source, at.offset); err != nil {
			return err
		}
	} else if err := s.checkSize(source, at.offset); err != nil {
		return err
	}
	// A compressed twin beside a plain file goes before the plain one loses its
	// name: after a crash in between it would be taken for the file itself.
	if plain >= 0 {
		if err := s.removeAll(same, from.name); err != nil {
			return err
		}
	}
	note := s.note
	note.Active = at.file
	if err := s.writeState(note); err != nil {
		return err
	}
	if err := s.fs.Rename(source, s.path(activeName)); err != nil {
		return s.mendable(err)
	}
	if err := s.fs.SyncDir(s.config.Dir); err != nil {
		return s.mendable(err)
	}
	if plain < 0 {
		if err := s.removeAll(same, ""); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sink) removeAll(files []rotated, except string) error {
	for _, r := range files {
		if r.name == except {
			continue
		}
		if err := s.fs.Remove(s.path(r.name)); err != nil {
			return s.mendable(err)
		}
	}
	return s.mendable(s.fs.SyncDir(s.config.Dir))
}

func (s *Sink) checkSize(name string, atLeast int64) error {
	info, err := s.fs.Stat(name)
	if err != nil {
		return s.mendable(err)
	}
	if info.Size() < atLeast {
		return s.tooShort(name, info.Size(), atLeast)
	}
	return nil
}

func (s *Sink) tooShort(name string, size, want int64) error {
	return &Error{
		fmt.Errorf("%s has %d bytes, and %d were acknowledged: somebody cut it or put another file in its place", name, size, want),
		"put the file back, or move it out of the directory to go on without the lines that are missing",
	}
}

// cutTo opens the active file, cuts it at at.offset and makes it the sink's.
func (s *Sink) cutTo(at position) error {
	name := s.path(activeName)
	f, err := s.fs.OpenFile(name, os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return s.mendable(err)
	}
	s.active = f
	info, err := f.Stat()
	if err != nil {
		return s.mendable(err)
	}
	if info.Size() < at.offset {
		return s.tooShort(name, info.Size(), at.offset)
	}
	if at.offset > 0 {
		var last [1]byte
		if _, err := f.ReadAt(last[:], at.offset-1); err != nil {
			return s.mendable(fmt.Errorf("reading %s: %w", name, err))
		}
		if last[0] != '\n' {
			return &Error{
				fmt.Errorf("%s has no end of line at offset %d, where the acknowledged lines end: somebody changed it", name, at.offset),
				"put the file back, or move it out of the directory to go on with a new one",
			}
		}
	}
	if info.Size() > at.offset {
		s.config.Logger.Info("file sink: cutting back lines that were not acknowledged",
			"file", name, "bytes", info.Size()-at.offset)
		if err := f.Truncate(at.offset); err != nil {
			return s.mendable(fmt.Errorf("cutting %s: %w", name, err))
		}
		if err := f.Sync(); err != nil {
			return s.mendable(fmt.Errorf("syncing %s: %w", name, err))
		}
	}
	note := s.note
	note.Active = at.file
	if err := s.writeState(note); err != nil {
		return err
	}
	s.at = at
	return nil
}

// setAside takes files, and the active one, out of the set without deleting
// them.
func (s *Sink) setAside(files []rotated, active bool) error {
	move := func(from, to string) error {
		for n := 1; ; n++ {
			name := asideStart + to
			if n > 1 {
				name = fmt.Sprintf("%s.%d", name, n)
			}
			if _, err := s.fs.Stat(s.path(name)); err == nil {
				continue
			} else if !errors.Is(err, fs.ErrNotExist) {
				return s.mendable(err)
			}
			s.config.Logger.Warn("file sink: set aside: its lines come after the saved position and will be delivered again",
				"file", s.path(from), "as", name)
			return s.mendable(s.fs.Rename(s.path(from), s.path(name)))
		}
	}
	if info, err := s.fs.Stat(s.path(activeName)); active && err == nil && info.Size() == 0 {
		active = false
		if err := s.fs.Remove(s.path(activeName)); err != nil {
			return s.mendable(err)
		}
	}
	if active {
		id := s.note.Active
		if id == "" {
			id = identityOf(s.config.Now())
		}
		if err := move(activeName, id.rotatedName()); err != nil {
			return err
		}
	}
	// The latest first: a crash in between leaves the rest later than the
	// position still.
	for _, r := range slices.Backward(files) {
		if err := move(r.name, r.name); err != nil {
			return err
		}
	}
	return s.mendable(s.fs.SyncDir(s.config.Dir))
}

// rotatedFiles lists the rotated files, oldest first.
func (s *Sink) rotatedFiles() ([]rotated, error) {
	entries, err := s.fs.ReadDir(s.config.Dir)
	if err != nil {
		return nil, s.mendable(fmt.Errorf("listing the file sink's directory: %w", err))
	}
	var files []rotated
	for _, entry := range entries {
		if r, ok := parseRotated(entry.Name()); ok && entry.Type().IsRegular() {
			files = append(files, r)
		}
	}
	slices.SortFunc(files, func(a, b rotated) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.name, b.name))
	})
	return files, nil
}

// removeTemporary removes what a crash left half-written.
func (s *Sink) removeTemporary() error {
	entries, err := s.fs.ReadDir(s.config.Dir)
	if err != nil {
		return s.mendable(fmt.Errorf("listing the file sink's directory: %w", err))
	}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), temporaryEnd)
		if !ok {
			continue
		}
		if _, isRotated := parseRotated(name); isRotated || name == activeName || name == stateName {
			if err := s.fs.Remove(s.path(entry.Name())); err != nil {
				return s.mendable(err)
			}
		}
	}
	return nil
}

// decompress writes the first size bytes of r to the file to, and syncs it.
func (s *Sink) decompress(ctx context.Context, r rotated, to string, size int64) (err error) {
	in, err := s.fs.OpenFile(s.path(r.name), os.O_RDONLY, 0)
	if err != nil {
		return s.mendable(err)
	}
	defer func() { _ = in.Close() }()
	plain, closePlain, err := decoder(r.codec, in)
	if err != nil {
		return fmt.Errorf("reading %s: %w", s.path(r.name), err)
	}
	defer closePlain()
	out, err := s.fs.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return s.mendable(err)
	}
	n, err := io.Copy(out, io.LimitReader(contextReader{ctx, plain}, size))
	if err == nil {
		err = out.Sync()
	}
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return s.mendable(fmt.Errorf("decompressing %s: %w", s.path(r.name), err))
	}
	if n < size {
		return s.tooShort(s.path(r.name), n, size)
	}
	return nil
}
