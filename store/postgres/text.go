package postgres

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PostgreSQL's text takes no byte that is zero and nothing that is not UTF-8. Paths,
// names and headers come from anybody who calls an API, and one such byte must not
// stop every commit from then on. Such a byte is written as one of the last 256 code
// points, which belong to nobody, and read back as what it was. A text that has one of
// those code points itself has it written as its four bytes.
const escapes = rune(0x10ff00)

// escapable tells whether a text may need to be written in another way.
func escapable(s string) bool {
	return strings.IndexByte(s, 0) >= 0 || strings.IndexByte(s, 0xf4) >= 0 || !utf8.ValidString(s)
}

// escape writes a text so that PostgreSQL takes it.
func escape(s string) string {
	if !escapable(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == 0 || r == utf8.RuneError && size == 1 || r >= escapes {
			for _, c := range []byte(s[i : i+size]) {
				b.WriteRune(escapes + rune(c))
			}
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// unescape is the text that escape wrote.
func unescape(s string) string {
	if strings.IndexByte(s, 0xf4) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r >= escapes {
			b.WriteByte(byte(r - escapes))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// document is JSON that this process wrote: it has no byte that PostgreSQL refuses, and
// is written and read as it is.
type document string

// texts are the arguments of a statement with their texts escaped.
func texts(args []any) []any {
	for i, arg := range args {
		switch arg := arg.(type) {
		case string:
			if escapable(arg) {
				args[i] = escape(arg)
			}
		case []string:
			if slices.ContainsFunc(arg, escapable) {
				escaped := make([]string, 0, len(arg))
				for _, s := range arg {
					escaped = append(escaped, escape(s))
				}
				args[i] = escaped
			}
		}
	}
	return args
}

// session is a connection whose texts, both ways, may be any. What is read into bytes is
// left as it is: documents, and what is stored as bytes.
type session struct{ *pgxpool.Conn }

// Exec runs a statement.
func (s session) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return s.Conn.Exec(ctx, sql, texts(args)...)
}

// Query asks for rows.
func (s session) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := s.Conn.Query(ctx, sql, texts(args)...)
	return textRows{rows}, err
}

// QueryRow asks for one row.
func (s session) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return textRow{s.Conn.QueryRow(ctx, sql, texts(args)...)}
}

type textRows struct{ pgx.Rows }

// Scan reads a row.
func (r textRows) Scan(dest ...any) error { return unescaped(r.Rows.Scan(dest...), dest) }

type textRow struct{ row pgx.Row }

// Scan reads the row.
func (r textRow) Scan(dest ...any) error { return unescaped(r.row.Scan(dest...), dest) }

// unescaped unescapes the texts that were read, of whatever type.
func unescaped(err error, dest []any) error {
	if err != nil {
		return err
	}
	for _, d := range dest {
		switch d := d.(type) {
		case *string:
			*d = unescape(*d)
		case *[]byte, *int64, *int, *bool, *float64, *uint64:
		default:
			if v := reflect.ValueOf(d); v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.String {
				v.Elem().SetString(unescape(v.Elem().String()))
			}
		}
	}
	return nil
}
