package object

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/store"
)

const (
	lettersObject  = "deadletters"
	defaultLetters = 100
	mostLetters    = 1000
	// maxLetterBytes bounds the letters beside the limits of the caller: the whole
	// object is written with each change of it.
	maxLetterBytes = 16 << 20
)

// letterBox is the object of the dead letters, the oldest first.
type letterBox struct {
	Last    int64               `json:"last"` // id given last
	Letters []deadletter.Letter `json:"letters"`
}

func openBox(data []byte) (*letterBox, error) {
	box := new(letterBox)
	if len(data) == 0 {
		return box, nil
	}
	if err := json.Unmarshal(data, box); err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrCorrupted, err)
	}
	return box, nil
}

func (s *Store) letterBox(ctx context.Context) (*letterBox, error) {
	data, _, err := s.objects.Load(ctx, lettersObject)
	if err == nil {
		var box *letterBox
		if box, err = openBox(data); err == nil {
			return box, nil
		}
	}
	return nil, fmt.Errorf("reading dead letters: %w", err)
}

func (s *Store) changeBox(ctx context.Context, doing string, change func(*letterBox) error) error {
	err := s.update(ctx, lettersObject, func(data []byte) ([]byte, error) {
		box, err := openBox(data)
		if err != nil {
			return nil, err
		}
		if err := change(box); err != nil {
			return nil, err
		}
		return json.Marshal(box)
	})
	var full *deadletter.FullError
	if errors.As(err, &full) || errors.Is(err, deadletter.ErrInvalidQuery) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

func (b *letterBox) size() (n int64) {
	for i := range b.Letters {
		n += b.Letters[i].Size
	}
	return n
}

// PutLetters adds letters or changes those that are there; see deadletter.Store.
func (s *Store) PutLetters(ctx context.Context, letters []deadletter.Letter, limits deadletter.Limits) error {
	most := min(limits.Bytes, maxLetterBytes)
	return s.changeBox(ctx, "saving dead letters", func(b *letterBox) error {
		count, size := len(b.Letters), b.size()
		for _, l := range letters {
			i := slices.IndexFunc(b.Letters, func(o deadletter.Letter) bool { return o.Sink == l.Sink && o.TransactionID == l.TransactionID })
			l.Replaying, l.Attempts = false, 1
			if i < 0 {
				b.Last++
				l.ID = strconv.FormatInt(b.Last, 10)
				b.Letters = append(b.Letters, l)
				continue
			}
			l.ID, l.Attempts = b.Letters[i].ID, b.Letters[i].Attempts+1
			b.Letters[i] = l
		}
		if now := b.size(); int64(len(b.Letters)) > limits.Count && len(b.Letters) > count || now > most && now > size {
			return &deadletter.FullError{Limits: limits}
		}
		return nil
	})
}

// Letters returns a page of letters, the newest first, without transactions.
func (s *Store) Letters(ctx context.Context, q deadletter.Query) (deadletter.Page, error) {
	page := deadletter.Page{Letters: []deadletter.Letter{}}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLetters
	}
	limit = min(limit, mostLetters)
	var before int64
	if q.Cursor != "" {
		var err error
		if before, err = letterID(q.Cursor); err != nil {
			return page, err
		}
	}
	b, err := s.letterBox(ctx)
	if err != nil {
		return page, err
	}
	for _, l := range slices.Backward(b.Letters) {
		id, err := letterID(l.ID)
		if err != nil {
			return page, err
		}
		if before > 0 && id >= before || q.Sink != "" && l.Sink != q.Sink || q.Reason != "" && l.Reason != q.Reason ||
			q.TransactionID != "" && l.TransactionID != q.TransactionID {
			continue
		}
		if len(page.Letters) == limit {
			page.Next = page.Letters[limit-1].ID
			break
		}
		l.Transaction = nil
		page.Letters = append(page.Letters, l)
	}
	return page, nil
}

func letterID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("%w: %q is not the id of a dead letter", deadletter.ErrInvalidQuery, text)
	}
	return id, nil
}

// Letter returns one letter with its transaction, or deadletter.ErrNotFound.
func (s *Store) Letter(ctx context.Context, id string) (*deadletter.Letter, error) {
	if _, err := letterID(id); err != nil {
		return nil, err
	}
	b, err := s.letterBox(ctx)
	if err != nil {
		return nil, err
	}
	for i := range b.Letters {
		if b.Letters[i].ID == id {
			return &b.Letters[i], nil
		}
	}
	return nil, deadletter.ErrNotFound
}

// CountLetters counts the letters by sink.
func (s *Store) CountLetters(ctx context.Context) ([]deadletter.Count, error) {
	b, err := s.letterBox(ctx)
	if err != nil {
		return nil, err
	}
	counts := []deadletter.Count{}
	for i := range b.Letters {
		l := &b.Letters[i]
		k := slices.IndexFunc(counts, func(c deadletter.Count) bool { return c.Sink == l.Sink })
		if k < 0 {
			k = len(counts)
			counts = append(counts, deadletter.Count{Sink: l.Sink})
		}
		counts[k].Letters++
		counts[k].Bytes += l.Size
		if l.Replaying {
			counts[k].Replaying++
		}
	}
	slices.SortFunc(counts, func(a, b deadletter.Count) int { return cmp.Compare(a.Sink, b.Sink) })
	return counts, nil
}

// MarkLetters marks letters to be delivered again.
func (s *Store) MarkLetters(ctx context.Context, ids []string) (n int, err error) {
	wanted, err := idSet(ids)
	if err != nil {
		return 0, err
	}
	err = s.changeBox(ctx, "marking dead letters", func(b *letterBox) error {
		n = 0
		for i := range b.Letters {
			if wanted[b.Letters[i].ID] {
				b.Letters[i].Replaying = true
				n++
			}
		}
		return nil
	})
	return n, err
}

// RemoveLetters removes letters, or of them those that are marked.
func (s *Store) RemoveLetters(ctx context.Context, ids []string, marked bool) (n int, err error) {
	wanted, err := idSet(ids)
	if err != nil {
		return 0, err
	}
	err = s.changeBox(ctx, "removing dead letters", func(b *letterBox) error {
		before := len(b.Letters)
		b.Letters = slices.DeleteFunc(b.Letters, func(l deadletter.Letter) bool {
			return wanted[l.ID] && (l.Replaying || !marked)
		})
		n = before - len(b.Letters)
		return nil
	})
	return n, err
}

func idSet(ids []string) (map[string]bool, error) {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		if _, err := letterID(id); err != nil {
			return nil, err
		}
		set[id] = true
	}
	return set, nil
}

// MarkedLetters returns the oldest marked letters of a sink with their
// transactions.
func (s *Store) MarkedLetters(ctx context.Context, sink string, n int, size int64) ([]deadletter.Letter, error) {
	b, err := s.letterBox(ctx)
	if err != nil {
		return nil, err
	}
	var letters []deadletter.Letter
	var sum int64
	for _, l := range b.Letters {
		if l.Sink != sink || !l.Replaying {
			continue
		}
		sum += l.Size
		if len(letters) == n || len(letters) > 0 && sum > size {
			break
		}
		letters = append(letters, l)
	}
	return letters, nil
}
