package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// batch is statements that go to the server in one round trip.
type batch struct{ queued pgx.Batch }

// batchAtMost bounds what is on its way at once: the server answers while it is still
// being written to.
const batchAtMost = 2000

// add adds a statement; what says of which thing an error of it tells.
func (b *batch) add(what, query string, args ...any) { b.expect(what, nil, query, args...) }

// expect adds a statement with what is to be said of the number of rows that it changed.
func (b *batch) expect(what string, check func(n int64) error, query string, args ...any) {
	b.queued.Queue(query, texts(args)...).Fn = func(results pgx.BatchResults) error {
		tag, err := results.Exec()
		if err == nil && check != nil {
			err = check(tag.RowsAffected())
		}
		if err != nil && what != "" {
			err = fmt.Errorf("%s: %w", what, err)
		}
		return err
	}
}

// send runs the statements in their order, up to the first that fails.
func (b *batch) send(ctx context.Context, tx querier) error {
	for queries := range slices.Chunk(b.queued.QueuedQueries, batchAtMost) {
		part := pgx.Batch{QueuedQueries: queries}
		if err := tx.SendBatch(ctx, &part).Close(); err != nil {
			return err
		}
	}
	b.queued = pgx.Batch{}
	return nil
}
