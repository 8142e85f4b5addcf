// Package notify tells people and machines what happens to access: requests to
// decide, access that is ready, that ends or that does not end as it should.
//
// The engine that lends access keeps an outbox: rows that it commits together
// with the change that they tell of. Router.Plan says which rows a Notice needs,
// one for each recipient and channel, and Router.Deliver sends one row. Retries,
// their order and their record belong to the outbox, so a notice outlives a crash
// and a channel that is down holds up no other channel.
//
// The outbox keeps three rules:
//
//   - It delivers the rows of one channel and thread in the order in which they
//     were planned, and goes on after one that failed for good.
//   - It keeps the Receipt of each row, and before a row is delivered it puts the
//     receipts of the same channel and thread, oldest first, into
//     Delivery.Earlier. By them messages are brought up to date in place.
//   - It retries what failed, not before RetryAfter, unless Permanent says that
//     no retry can help.
//
// A delivery comes at least once. What comes twice carries the same id, where the
// channel has room for one.
package notify
