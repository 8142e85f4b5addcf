package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// writeAt is how many bytes of lines are gathered before they are written.
const writeAt = 256 << 10

// maxBuffer is the largest buffer that is kept for the next batch.
const maxBuffer = 4 << 20

// Sink writes to the files of one directory. Deliver, Restore and Close must
// not run at the same time; Name and Position may.
type Sink struct {
	config  Config
	fs      fileSystem
	metrics *metrics
	name    string

	lock   *os.File
	active handle // nil until Restore, and while there is none
	dirty  bool   // active holds bytes past at.offset that are not acknowledged
	buffer []byte
	note   stateFile

	mu       sync.Mutex // guards what follows
	at       position   // what is acknowledged
	handed   string     // the position that was handed out last
	handouts int        // how many different positions were handed out

	restored bool
	closed   bool
	worker   *worker
}

var _ collect.Sink = (*Sink)(nil)

// Open makes the directory if it is missing and locks it. Restore must be
// called before the first Deliver.
func Open(config Config) (*Sink, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening file sink %s: %w", config.Dir, err)
	}
	s := &Sink{config: config, fs: config.fs, name: "file:" + dir}
	s.config.Dir = dir
	if err := s.lockDir(); err != nil {
		return nil, err
	}
	if s.metrics, err = newMetrics(config.Metrics, s.name); err != nil {
		_ = s.lock.Close()
		return nil, fmt.Errorf("opening file sink %s: registering its metrics (is it named twice?): %w", dir, err)
	}
	return s, nil
}

// lockDir makes the directory and takes its lock, unless this sink holds it.
func (s *Sink) lockDir() error {
	if err := s.fs.MkdirAll(s.config.Dir, 0o700); err != nil {
		return s.mendable(fmt.Errorf("making the directory of the file sink: %w", err))
	}
	if s.lock != nil {
		held, err := s.lock.Stat()
		there, thereErr := os.Stat(s.path(lockName))
		if err == nil && thereErr == nil && os.SameFile(held, there) {
			return nil
		}
	}
	lock, err := acquireLock(s.path(lockName))
	if errors.Is(err, errLocked) {
		return &Error{
			fmt.Errorf("opening file sink %s: %w", s.config.Dir, err),
			"give each process a directory of its own, or stop the other one",
		}
	}
	if err != nil {
		return s.mendable(fmt.Errorf("locking the directory of the file sink: %w", err))
	}
	if s.lock != nil {
		_ = s.lock.Close()
	}
	s.lock = lock
	return nil
}

// Error is a failure that somebody can mend.
type Error struct {
	Err  error
	mend string
}

// Error says where and why.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Mend says how.
func (e *Error) Mend() string { return e.mend }

// mendable adds to err how it is mended, where that is known.
func (s *Sink) mendable(err error) error {
	var mend string
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		mend = "make room on the file system of " + s.config.Dir + ", or keep fewer files with keep="
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		mend = "let this process write to " + s.config.Dir
	case errors.Is(err, syscall.EIO):
		mend = "check the disk under " + s.config.Dir
	default:
		return err
	}
	return &Error{err, mend}
}

// Name is file: and the absolute directory.
func (s *Sink) Name() string { return s.name }

// Position says how much of which file is acknowledged; empty before Restore.
func (s *Sink) Position() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.restored {
		return ""
	}
	p := s.at.String()
	if p != s.handed {
		s.handed = p
		s.handouts++
	}
	return p
}

// Deliver appends one line a transaction and returns when the lines survive
// power loss. After an error the file holds what it held before, or is cut back
// to that before anything else is written.
func (s *Sink) Deliver(ctx context.Context, batch []*transaction.Transaction) error {
	err := s.deliver(ctx, batch)
	if err != nil {
		s.metrics.failures.Inc()
	}
	return err
}

func (s *Sink) deliver(ctx context.Context, batch []*transaction.Transaction) error {
	switch {
	case s.closed:
		return errors.New("file sink: deliver after close")
	case !s.restored:
		return errors.New("file sink: deliver before restore")
	case ctx.Err() != nil:
		return fmt.Errorf("writing to %s: %w", s.path(activeName), ctx.Err())
	}
	if err := s.ready(); err != nil {
		return err
	}
	if len(batch) == 0 {
		return nil
	}
	n, err := s.write(ctx, batch)
	if err == nil {
		err = s.active.Sync()
	}
	if err != nil {
		s.cutBack()
		return s.mendable(fmt.Errorf("writing %d transactions to %s: %w", len(batch), s.path(activeName), err))
	}
	s.mu.Lock()
	s.at.offset += n
	s.mu.Unlock()
	s.dirty = false
	s.metrics.records.Add(float64(len(batch)))
	s.metrics.bytes.Add(float64(n))
	s.metrics.batches.Inc()
	return nil
}

// write appends the lines of batch and returns how many bytes they are.
func (s *Sink) write(ctx context.Context, batch []*transaction.Transaction) (n int64, err error) {
	b := s.buffer[:0]
	s.dirty = true
	for i, t := range batch {
		b = append(t.AppendJSON(b), '\n')
		if len(b) < writeAt && i < len(batch)-1 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return n, err
		}
		if _, err := s.active.Write(b); err != nil {
			return n, err
		}
		n += int64(len(b))
		b = b[:0]
	}
	s.buffer = b
	if cap(b) > maxBuffer {
		s.buffer = nil
	}
	return n, nil
}

// cutBack takes out what a failed write left. If even that fails, ready tries
// again before the next write.
func (s *Sink) cutBack() {
	if s.active.Truncate(s.at.offset) == nil {
		s.dirty = false
	}
}

// ready makes sure that the active file is there, is ours, ends where it was
// acknowledged, and is not due for rotation.
func (s *Sink) ready() error {
	if s.active == nil {
		return s.begin(false)
	}
	name := s.path(activeName)
	there, err := s.fs.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		s.config.Logger.Warn("file sink: the active file was taken away: beginning a new one", "file", name)
		s.closeActive()
		// The directory may be gone, and the lock file with it.
		if err := s.lockDir(); err != nil {
			return err
		}
		return s.begin(false)
	}
	if err != nil {
		return s.mendable(fmt.Errorf("looking at %s: %w", name, err))
	}
	ours, err := s.active.Stat()
	if err != nil {
		return s.mendable(fmt.Errorf("looking at %s: %w", name, err))
	}
	if !os.SameFile(there, ours) {
		return &Error{fmt.Errorf("%s was replaced by another file", name), "move it out of the directory: a new file is begun then"}
	}
	if s.dirty {
		if err := s.active.Truncate(s.at.offset); err != nil {
			return s.mendable(fmt.Errorf("cutting %s back after a failed write: %w", name, err))
		}
		s.dirty = false
	} else if ours.Size() != s.at.offset {
		return &Error{
			fmt.Errorf("%s has %d bytes and not the %d that were written: somebody else wrote to it", name, ours.Size(), s.at.offset),
			"move it out of the directory: a new file is begun then",
		}
	}
	if err := s.forgetBeginning(); err != nil {
		return err
	}
	if s.at.offset > 0 && (s.at.offset >= s.config.RotateSize || s.config.Now().Sub(s.at.file.began()) >= s.config.RotateAge) {
		return s.rotate()
	}
	return nil
}

// rotate gives the active file its name and begins a new one. If it stops
// half-way the position still names the old file, and ready begins the new one.
func (s *Sink) rotate() error {
	to := s.path(s.at.file.rotatedName())
	if err := s.fs.Rename(s.path(activeName), to); err != nil {
		return s.mendable(fmt.Errorf("rotating %s: %w", s.path(activeName), err))
	}
	s.closeActive()
	if err := s.begin(false); err != nil {
		return err
	}
	s.metrics.rotations.Inc()
	s.worker.wake()
	return nil
}

// begin makes a new active file; the directory has none. If asked for, the note
// says that this file is the beginning of a state.
func (s *Sink) begin(beginning bool) error {
	id, err := s.nextIdentity()
	if err != nil {
		return err
	}
	// A rename may have gone before; its name and this one are synced here and
	// below, in this order, so that the note never names a file that is older
	// than what the directory shows.
	if err := s.fs.SyncDir(s.config.Dir); err != nil {
		return s.mendable(fmt.Errorf("syncing %s: %w", s.config.Dir, err))
	}
	note := s.note
	note.Active = id
	if beginning {
		note.Beginning = id
	}
	if err := s.writeState(note); err != nil {
		return err
	}
	name := s.path(activeName)
	f, err := s.fs.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return s.mendable(fmt.Errorf("beginning a new file: %w", err))
	}
	if err := s.fs.SyncDir(s.config.Dir); err != nil {
		_ = f.Close()
		_ = s.fs.Remove(name)
		return s.mendable(fmt.Errorf("syncing %s: %w", s.config.Dir, err))
	}
	s.active, s.dirty = f, false
	s.mu.Lock()
	s.at = position{file: id}
	s.mu.Unlock()
	return nil
}

func (s *Sink) closeActive() {
	// Everything acknowledged was synced; nothing else needs to be kept.
	_ = s.active.Close()
	s.active = nil
}

// nextIdentity is later than that of every file that was ever here, also if
// the clock goes back.
func (s *Sink) nextIdentity() (identity, error) {
	files, err := s.rotatedFiles()
	if err != nil {
		return "", err
	}
	last := max(s.at.file, s.note.Active)
	if len(files) > 0 {
		last = max(last, files[len(files)-1].file)
	}
	id := identityOf(s.config.Now())
	if id <= last {
		id = identityOf(last.began().Add(time.Millisecond))
	}
	return id, nil
}

// Close stops the compression of rotated files, which goes on after the next
// start, and frees the directory.
func (s *Sink) Close(ctx context.Context) error {
	if s.closed {
		return nil
	}
	s.closed = true
	if s.worker != nil {
		s.worker.stop()
	}
	if s.active != nil {
		if s.dirty && ctx.Err() == nil {
			s.cutBack()
		}
		s.closeActive()
	}
	s.metrics.unregister()
	if err := s.lock.Close(); err != nil {
		return fmt.Errorf("closing file sink %s: %w", s.config.Dir, err)
	}
	return nil
}
