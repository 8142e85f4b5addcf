package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// signIns are the sessions of this person at servers, kept in a file that nobody
// else may read.
type signIns struct {
	// Server is where login signed in last.
	Server   string                 `json:"server,omitempty"`
	Sessions map[string]keptSession `json:"sessions,omitempty"` // by server
}

type keptSession struct {
	Token  string    `json:"token"`
	Person string    `json:"person"`
	Ends   time.Time `json:"ends"`
}

// signInsFile is sessions.json in the configuration folder of the user.
func signInsFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding the configuration folder: %w", err)
	}
	return filepath.Join(dir, "gatehouse", "sessions.json"), nil
}

// readSignIns reads the kept sessions; without a file, or without a home to look
// in, there are none. A file that others may read is refused, for its tokens are
// known then.
func readSignIns() (signIns, error) {
	kept := signIns{Sessions: map[string]keptSession{}}
	path, err := signInsFile()
	if err != nil {
		return kept, nil //nolint:nilerr // Without a home there is nothing kept; GATEHOUSE_TOKEN works.
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return kept, nil
	}
	if err != nil {
		return kept, fmt.Errorf("reading the kept sessions: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return kept, withHint(fmt.Errorf("%s may be read by others (%v)", path, info.Mode().Perm()), "run 'chmod 600 "+path+"' and 'gatehouse logout' to end the sessions in it")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return kept, fmt.Errorf("reading the kept sessions: %w", err)
	}
	if err := json.Unmarshal(b, &kept); err != nil {
		return kept, withHint(fmt.Errorf("reading the kept sessions in %s: %w", path, err), "remove the file and sign in again")
	}
	if kept.Sessions == nil {
		kept.Sessions = map[string]keptSession{}
	}
	return kept, nil
}

// write replaces the file as a whole, so that a crash leaves the old or the new.
func (k signIns) write() error {
	path, err := signInsFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keeping the session: %w", err)
	}
	// CreateTemp makes files of mode 0600.
	f, err := os.CreateTemp(filepath.Dir(path), "sessions-*.tmp")
	if err != nil {
		return fmt.Errorf("keeping the session: %w", err)
	}
	e := json.NewEncoder(f)
	e.SetIndent("", "  ")
	err = errors.Join(e.Encode(k), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keeping the session: %w", err), os.Remove(f.Name()))
	}
	return nil
}
