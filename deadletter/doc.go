// Package deadletter keeps the calls that a sink refused for good, until a
// person has them delivered again or discards them.
//
// # No crash loses or doubles one
//
// A sink puts what is refused into its Box, which commits before it returns,
// and only then acknowledges the batch. If the process dies in between, or
// before the collector has saved its cursors, the batch comes again and is
// refused again: the letter is known by sink and transaction id, so it changes
// its row and adds none.
//
// # Bounded
//
// A Keeper holds at most MaxCount letters and MaxBytes of them. When it is full
// a Box refuses with a *FullError, the sink hands that on, and the collector
// waits with the batch, as it does for a sink that is down: the sources page
// says so. Nothing is lost, and collecting goes on when there is room.
//
// # Replay
//
// Replay marks letters in the store. Keeper.Run, in the process that has the
// sinks open, finds the marks, delivers the transactions under their own ids
// and removes the letters that were taken; one that is refused again goes back
// into the Box, which takes the mark off. So the command line and the dashboard
// can ask for a replay from any process that shares the store. A crash between
// delivering and removing repeats the delivery under the same id.
//
// Sinks are written for one caller at a time. An Outlet gives the turns, and
// gives none to a replay while the collector is in the middle of a batch that
// the sink has not taken: the sink remembers which part of it needs no sending.
package deadletter
