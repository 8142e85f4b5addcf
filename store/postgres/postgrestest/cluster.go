//go:build unix

// Package postgrestest starts PostgreSQL servers of their own for tests.
package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// programs are what a cluster is made and run with, on PATH or where Debian has them.
var programs = []string{"initdb", "pg_ctl", "postgres"}

// Cluster is a PostgreSQL server with data of its own in a temporary folder. It trusts
// whoever reaches it, on an address of this machine alone.
type Cluster struct {
	dir     string
	port    int
	bin     string
	user    *syscall.Credential // nil: the user of this process
	options string
}

// Missing says which program is not there, or "".
func Missing() string {
	_, name := find()
	return name
}

func find() (bin, missing string) {
	if path, err := exec.LookPath("pg_ctl"); err == nil {
		bin = filepath.Dir(path)
	} else if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_ctl"); len(found) > 0 {
		bin = filepath.Dir(found[len(found)-1])
	}
	for _, name := range programs {
		if _, err := os.Stat(filepath.Join(bin, name)); bin == "" || err != nil {
			return "", name
		}
	}
	return bin, ""
}

// Start makes a cluster and starts it. options are those of the server, as
// "-c fsync=off". The server refuses to run as root, so root runs it as the user
// postgres.
func Start(ctx context.Context, options string) (*Cluster, error) {
	bin, missing := find()
	if missing != "" {
		return nil, fmt.Errorf("PostgreSQL's %s is not on PATH", missing)
	}
	dir, err := os.MkdirTemp("", "gatehouse-postgres")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, bin: bin, options: options}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if os.Getuid() == 0 {
		who, err := user.Lookup("postgres")
		if err != nil {
			return fmt.Errorf("the server does not run as root: %w", err)
		}
		uid, err := strconv.ParseUint(who.Uid, 10, 32)
		if err != nil {
			return err
		}
		gid, err := strconv.ParseUint(who.Gid, 10, 32)
		if err != nil {
			return err
		}
		c.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(c.dir, int(uid), int(gid)); err != nil {
			return err
		}
	}
	if err := c.run(ctx, "initdb", "-D", c.data(), "-A", "trust", "-U", "gatehouse", "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"); err != nil {
		return err
	}
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	c.port = port
	return c.Up(ctx)
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// run runs one of PostgreSQL's programs. Its output goes to a file: the server inherits
// it, and a pipe would be waited for as long as the server runs.
func (c *Cluster) run(ctx context.Context, name string, args ...string) error {
	out, err := os.CreateTemp("", "gatehouse-postgres-*.log")
	if err != nil {
		return err
	}
	defer func() {
		_ = out.Close()
		_ = os.Remove(out.Name())
	}()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...) //nolint:gosec // one of three programs
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, out, out
	if c.user != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.user}
	}
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w\n%s", name, err, said)
	}
	return nil
}

// Up starts the server and returns once it answers.
func (c *Cluster) Up(ctx context.Context) error {
	return c.run(ctx, "pg_ctl", "-D", c.data(), "-l", filepath.Join(c.dir, "server.log"), "-w", "-t", "60",
		"-o", fmt.Sprintf("-p %d -k %s -h 127.0.0.1 -c max_connections=300 %s", c.port, c.dir, c.options), "start")
}

// Down stops the server in a mode of pg_ctl: "fast" ends all connections, "immediate"
// dies at once, as after a loss of power.
func (c *Cluster) Down(ctx context.Context, mode string) error {
	return c.run(ctx, "pg_ctl", "-D", c.data(), "-w", "-t", "60", "-m", mode, "stop")
}

// Address is the server's host and port.
func (c *Cluster) Address() string { return fmt.Sprintf("127.0.0.1:%d", c.port) }

// URL is the URL of a store in a schema of the server.
func (c *Cluster) URL(schema string) string {
	return fmt.Sprintf("postgres://gatehouse@%s/postgres?sslmode=disable&search_path=%s", c.Address(), schema)
}

// Log is the end of what the server said.
func (c *Cluster) Log() string {
	b, _ := os.ReadFile(filepath.Join(c.dir, "server.log"))
	return string(b[max(0, len(b)-4000):])
}

// Close stops the server and removes its data.
func (c *Cluster) Close() error {
	if _, err := os.Stat(filepath.Join(c.data(), "postmaster.pid")); err == nil {
		_ = c.Down(context.Background(), "immediate")
	}
	return os.RemoveAll(c.dir)
}
