package https

import (
	"github.com/gatehouse-project/gatehouse/sink/post"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// form writes a JSON array of items.
type form struct {
	skip func(*transaction.Transaction) string
	item func([]byte, *transaction.Transaction) []byte
}

var _ post.Form = (*form)(nil)

func nativeForm() *form {
	return &form{
		skip: func(*transaction.Transaction) string { return "" },
		item: func(dst []byte, t *transaction.Transaction) []byte { return t.AppendJSON(dst) },
	}
}

func cequenceForm() *form { return &form{skip: skipCequence, item: appendCequence} }

// ContentType is JSON.
func (*form) ContentType() string { return "application/json" }

// Skip leaves out what the format has no place for.
func (f *form) Skip(t *transaction.Transaction) string { return f.skip(t) }

// AppendItem appends an element of the array.
func (f *form) AppendItem(dst []byte, t *transaction.Transaction) []byte { return f.item(dst, t) }

// AppendBody appends the array.
func (*form) AppendBody(dst []byte, _ []*transaction.Transaction, items [][]byte) []byte {
	dst = append(dst, '[')
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, item...)
	}
	return append(dst, ']')
}

// Class is what the status means by HTTP.
func (*form) Class(status int) post.Class { return post.StatusClass(status) }

// Answer reads what the answer says of single calls.
func (*form) Answer(_ int, body []byte, batch []*transaction.Transaction) post.Verdict {
	return readAnswer(body, batch)
}

// Resend is true: a call that comes twice has the same id.
func (*form) Resend() bool { return true }
