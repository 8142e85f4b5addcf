package demo

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pastBatch is how many bytes of log events of the past are gathered before they
// are written.
const pastBatch = 4 << 20

// Past makes the calls of a time that has gone by, one after the other and as fast
// as they go, and writes their logs. The gateway, its backends and whoever signs
// live in that time: each call begins when it would have, and what it waits for
// moves the clock. Connections to the chat stay open for Run; an error ends them.
func (t *Traffic) Past(ctx context.Context, from, to time.Time) error {
	t.clock.set(from)
	t.past.Store(true)
	t.logs.setPast(true)
	err := t.serve(ctx, func() error { return t.playPast(ctx, from, to) })
	t.logs.setPast(false)
	t.past.Store(false)
	t.clock.catchUp()
	if err != nil {
		t.chat.leave()
		t.gateway.Shutdown(ctx)
	}
	return err
}

func (t *Traffic) playPast(ctx context.Context, from, to time.Time) (err error) {
	// Calls are made while the batch before is written; only one is, so that no more
	// than two are held.
	writing := make(chan error, 1)
	writing <- nil
	defer func() { err = errors.Join(err, <-writing) }()
	flush := func(size int) error {
		list := t.logs.full(size)
		if list == nil {
			return nil
		}
		if err := <-writing; err != nil {
			writing <- nil
			return fmt.Errorf("writing the logs of the past: %w", err)
		}
		go func() { writing <- t.logs.write(ctx, list) }()
		return nil
	}
	for at := from; at.Before(to); at = at.Add(t.gap()) {
		if err := ctx.Err(); err != nil {
			return err
		}
		t.clock.set(at)
		v, act := t.scene.next()
		if v == nil && act == noChat {
			continue
		}
		if err := t.do(ctx, v, act, t.scene.shopper()); err != nil {
			return err
		}
		// The client has its answer before the gateway has written the call's last
		// line, which must not have the time of the next call.
		if err := t.await(ctx, v); err != nil {
			return err
		}
		if err := flush(pastBatch); err != nil {
			return err
		}
	}
	return flush(0)
}

// await waits until the gateway is done with the call that was made.
func (t *Traffic) await(ctx context.Context, v *visit) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	wait := func(done <-chan struct{}) error {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("waiting for a call of the past to end: %w", ctx.Err())
		}
	}
	if v == nil || v.api.Type == "WEBSOCKET" {
		if err := wait(t.logs.chats); err != nil {
			return err
		}
	}
	if v != nil {
		return wait(t.handled)
	}
	return nil
}
