package slack

import (
	"context"
	"errors"
	"slices"
	"strings"

	api "github.com/slack-go/slack"

	"github.com/gatehouse-project/gatehouse/notify"
)

// Send posts a notice to a person (by Slack id or e-mail address) or a channel (by
// id or #name), or brings earlier messages up to date:
//
//   - A delivery without an address changes all messages of its thread that are
//     about the same subject and still have buttons.
//   - A notice that closes changes such a message of its own address instead of
//     posting another.
//   - All else is posted, as a reply if the address has messages of the thread.
//
// A message that Slack took but did not acknowledge in time is posted twice:
// Slack has no idempotency key.
func (a *App) Send(ctx context.Context, d notify.Delivery) (notify.Receipt, error) {
	var open []notify.Receipt
	for _, r := range d.Earlier {
		if r.Channel == notify.Slack && r.Open && r.Place != "" && notify.Subject(r.Kind) == notify.Subject(d.Notice.Kind) {
			open = append(open, r)
		}
	}
	if d.Address == "" {
		return notify.Receipt{Time: a.now()}, a.updateAll(ctx, &d.Notice, open)
	}
	same := func(r notify.Receipt) bool { return strings.EqualFold(r.Address, d.Address) }
	if d.Notice.IsClosing() {
		if i := slices.IndexFunc(open, same); i >= 0 {
			r := open[i]
			err := a.updateAll(ctx, &d.Notice, slices.DeleteFunc(open, func(r notify.Receipt) bool { return !same(r) }))
			return notify.Receipt{Place: r.Place, ID: r.ID, Time: a.now()}, err
		}
	}
	place, err := a.place(ctx, d.Address)
	if err != nil {
		return notify.Receipt{}, err
	}
	options, open1 := a.message(&d.Notice)
	if i := slices.IndexFunc(d.Earlier, func(r notify.Receipt) bool {
		return r.Channel == notify.Slack && r.Place != "" && r.ID != "" && same(r)
	}); i >= 0 {
		place = d.Earlier[i].Place
		options = append(options, api.MsgOptionTS(d.Earlier[i].ID))
		if d.Notice.Loud {
			options = append(options, api.MsgOptionBroadcast())
		}
	}
	r := notify.Receipt{Open: open1, Time: a.now()}
	err = a.call(ctx, "posting a message", func(ctx context.Context, c *api.Client) error {
		r.Place, r.ID, err = c.PostMessageContext(ctx, place, options...)
		if err == nil && (r.Place == "" || r.ID == "") {
			return errors.New("the answer does not say where the message is")
		}
		return err
	})
	if err != nil {
		return notify.Receipt{}, err
	}
	return r, nil
}

// place is what chat.postMessage takes as a channel. A user's id means the
// conversation of the app with that person.
func (a *App) place(ctx context.Context, address string) (string, error) {
	if strings.HasPrefix(address, "#") || !strings.Contains(address, "@") {
		return address, nil
	}
	return a.find(ctx, address)
}

func (a *App) message(n *notify.Notice) (options []api.MsgOption, open bool) {
	bs, open := blocks(n, a.now(), a.interactive)
	return []api.MsgOption{
		api.MsgOptionText(fallback(n), false), // escaped already
		api.MsgOptionBlocks(bs...),
		api.MsgOptionParse(false),
		api.MsgOptionDisableLinkUnfurl(),
		api.MsgOptionDisableMediaUnfurl(),
	}, open
}

// gone are the codes of messages that cannot be changed any more because they, or
// their channel, are not there.
var gone = []string{"message_not_found", "channel_not_found", "is_archived", "cant_update_message", "edit_window_closed", "thread_not_found", "is_inactive"}

// updateAll puts a notice in the place of earlier messages, without any button
// that decides. Those that are gone are left; if others fail it goes on and
// returns the first failure, so that the outbox comes again. Doing it twice does
// no harm.
func (a *App) updateAll(ctx context.Context, n *notify.Notice, rs []notify.Receipt) error {
	closed := *n
	closed.Actions = nil
	options, _ := a.message(&closed)
	var first error
	for _, r := range rs {
		err := a.call(ctx, "changing a message", func(ctx context.Context, c *api.Client) error {
			_, _, _, err := c.UpdateMessageContext(ctx, r.Place, r.ID, options...)
			return err
		})
		if err != nil && !slices.Contains(gone, code(err)) && first == nil {
			first = err
		}
		if notify.RetryAfter(err) > 0 {
			break // asked to wait: the rest comes with the next attempt
		}
	}
	return first
}
