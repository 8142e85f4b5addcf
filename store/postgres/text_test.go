package postgres

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// Whatever a text holds, PostgreSQL takes how it is written, and it is read as it was.
func TestAnyTextIsReadBack(t *testing.T) {
	t.Parallel()
	pieces := rapid.SampledFrom([]string{"a", "é", "\x00", "\xff", "\xf4", "\xf4\x8f", "\U0010ff00", "\U0010ffff", "\U0010fe00", "�", "/pets/{id}"})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.OneOf(pieces, rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })), 0, 5).Draw(t, "text"), "")
		written := escape(text)
		if !utf8.ValidString(written) || strings.ContainsRune(written, 0) {
			t.Fatalf("%q is written as %q, which PostgreSQL refuses", text, written)
		}
		if got := unescape(written); got != text {
			t.Fatalf("%q is read as %q", text, got)
		}
	})
}

func TestOrdinaryTextIsWrittenAsItIs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "/pets/{id}", "größer 語 🎈", "\U0010fe00"} {
		if got := escape(text); got != text {
			t.Errorf("%q is written as %q", text, got)
		}
	}
}

func TestIndexedTextIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\x00", 10_000)
	if n := len(escape(indexed(long))); n > 2700 {
		t.Errorf("an entry of an index has %d bytes", n)
	}
	if indexed(long) == indexed(long+"x") || indexed("short") != "short" {
		t.Error("two texts are one in an index")
	}
}
