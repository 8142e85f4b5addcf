package file

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// worker compresses rotated files and removes old ones, one after the other, so
// that a Deliver never waits for either.
type worker struct {
	sink   *Sink
	ctx    context.Context
	cancel context.CancelFunc
	signal chan struct{}
	group  sync.WaitGroup
}

func startWorker(s *Sink) *worker {
	w := &worker{sink: s, signal: make(chan struct{}, 1)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.group.Go(func() {
		for {
			select {
			case <-w.ctx.Done():
				return
			case <-w.signal:
			}
			if err := w.tidy(); err != nil && w.ctx.Err() == nil {
				s.metrics.tidyFailures.Inc()
				s.config.Logger.Warn("file sink: tidying rotated files, which is tried again after the next rotation",
					"dir", s.config.Dir, "error", err)
			}
		}
	})
	return w
}

// wake says that there may be something to do.
func (w *worker) wake() {
	select {
	case w.signal <- struct{}{}:
	default: // it will look again anyway
	}
}

// stop ends the work in the middle, if need be, and waits for that.
func (w *worker) stop() {
	w.cancel()
	w.group.Wait()
}

func (w *worker) tidy() error {
	s := w.sink
	files, err := s.rotatedFiles()
	if err != nil {
		return err
	}
	var failed error
	if s.config.Compress != "none" {
		for i, r := range files {
			if r.codec != "none" {
				continue
			}
			if err := w.compress(r); err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			files[i].name, files[i].codec = r.name+extensions[s.config.Compress], s.config.Compress
		}
	}
	// A crash may have left both forms of one file.
	files = slices.CompactFunc(files, func(a, b rotated) bool { return a.file == b.file })
	return errors.Join(failed, w.removeOld(files))
}

// compress replaces r by its compressed form. At every moment one of the two is
// there whole.
func (w *worker) compress(r rotated) error {
	s := w.sink
	source := s.path(r.name)
	target := source + extensions[s.config.Compress]
	if err := w.compressTo(source, target+temporaryEnd); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			_ = s.fs.Remove(target + temporaryEnd)
		}
		return fmt.Errorf("compressing %s: %w", source, err)
	}
	if err := s.fs.Rename(target+temporaryEnd, target); err != nil {
		return fmt.Errorf("compressing %s: %w", source, err)
	}
	if err := s.fs.SyncDir(s.config.Dir); err != nil {
		return fmt.Errorf("compressing %s: %w", source, err)
	}
	if err := s.fs.Remove(source); err != nil {
		return fmt.Errorf("removing %s after its compression: %w", source, err)
	}
	return nil
}

func (w *worker) compressTo(source, target string) (err error) {
	s := w.sink
	in, err := s.fs.OpenFile(source, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := s.fs.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
	}()
	packed, err := encoder(s.config.Compress, out)
	if err != nil {
		return err
	}
	if _, err := io.Copy(packed, contextReader{w.ctx, in}); err != nil {
		_ = packed.Close()
		return err
	}
	if err := packed.Close(); err != nil {
		return err
	}
	return out.Sync()
}

// removeOld removes rotated files beyond what is to be kept. The newest always
// stays: the saved position may be in it.
func (w *worker) removeOld(files []rotated) error {
	s := w.sink
	remove := 0 // files[:remove] go
	if keep := s.config.KeepFiles; keep > 0 {
		remove = len(files) - keep
	}
	if s.config.KeepAge > 0 {
		// A file ends where the next one begins.
		before := identityOf(s.config.Now().Add(-s.config.KeepAge))
		tooNew := slices.IndexFunc(files, func(r rotated) bool { return r.file > before })
		if tooNew < 0 {
			tooNew = len(files)
		}
		remove = max(remove, tooNew-1)
	}
	var failed error
	for _, r := range files[:max(min(remove, len(files)-1), 0)] {
		if err := s.fs.Remove(s.path(r.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

func encoder(codec string, out io.Writer) (io.WriteCloser, error) {
	if codec == "gzip" {
		return gzip.NewWriter(out), nil
	}
	// One goroutine and a window that any reader's defaults take.
	return zstd.NewWriter(out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(4<<20))
}

func decoder(codec string, in io.Reader) (io.Reader, func(), error) {
	if codec == "gzip" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { _ = z.Close() }, nil
	}
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, nil, err
	}
	return z, z.Close, nil
}

// contextReader ends a copy when its context is done.
type contextReader struct {
	ctx context.Context
	in  io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.in.Read(p)
}
