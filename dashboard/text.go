package dashboard

import (
	"fmt"
	"unicode/utf8"
)

// visible replaces characters that cannot be seen, or that turn the text around
// them, by their code point. Paths and headers come from whoever calls the
// APIs: U+202E in one would show "exe.txt" for "txt.exe". It runs over the whole
// page, so that no template can forget it; the pages' own text has none of
// these characters.
func visible(page []byte) []byte {
	clean := true
	for _, c := range page {
		if c >= utf8.RuneSelf || (c < ' ' && c != '\n' && c != '\t') || c == 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return page
	}
	out := make([]byte, 0, len(page)+64)
	for i := 0; i < len(page); {
		r, n := utf8.DecodeRune(page[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			out = fmt.Appendf(out, "⟨0x%02X⟩", page[i])
		case hidden(r):
			out = fmt.Appendf(out, "⟨U+%04X⟩", r)
		default:
			out = append(out, page[i:i+n]...)
		}
		i += n
	}
	return out
}

func hidden(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < ' ', r >= 0x7f && r <= 0x9f: // C0 and C1 controls
		return true
	case r == 0xad, r == 0x61c, r == 0x115f, r == 0x1160, r == 0x180e, r == 0x3164, r == 0xfeff, r == 0xffa0:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f: // zero width, direction
		return true
	case r >= 0xfff9 && r <= 0xfffb, r >= 0xe0000 && r <= 0xe0fff: // annotations, tags
		return true
	default:
		return false
	}
}
