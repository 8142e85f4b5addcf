// Package collect reads API Gateway's logs, rebuilds the calls in them and
// hands them on, without losing an event or delivering a call twice where the
// sink can help it.
//
// # The way of an event
//
//	Source ─pages→ lane: dedupe → Assembler → Enricher → Filter ─cuts→ pipeline → every Sink → Observers → State
//
// A lane is an account and region. Its scheduler serves the group that has
// waited longest, one window of time at a time, and a window is a bounded
// number of pages: a busy group gets no more turns than a quiet one, and a
// quiet one costs one request a poll. When the account's quota is smaller than
// the groups need, every group is polled less often; the lag shows it and
// nothing is lost.
//
// # Two readings
//
// CloudWatch Logs shows an event some seconds, at times minutes, after the
// time that it carries. Each group is therefore read twice. The fast reading
// follows the clock at a distance of Settle and gives every call within
// seconds. The slow reading comes Overlap later, once a minute, and finds what
// was not there yet. Events are told apart by their eventId (64 bits of it),
// so an event that both readings see is counted once. A window that was
// already older than Overlap when the fast reading came to it (catching up, a
// back-fill) is not read again: there the slow reading only moves on. So an
// event crosses the wire at most twice in the steady state.
//
// Windows are half open and follow one another without a gap or a step of one
// millisecond: many events share a millisecond, and a cursor that adds one to
// the last timestamp loses them. A window counts as read when its last page
// has come, whatever is in the pages; an empty page is not the end. If
// anything goes wrong on the way, the whole window is read again.
//
// The two readings feed two Assemblers. An Assembler does its waiting in log
// time, and the log time of the slow reading is Overlap behind: a call whose
// lines are all late would be closed after its first line by an Assembler
// whose clock has long passed it. Each is told the calls that the other sent,
// so a late line of a call that is out is recognised, counted and not sent.
//
// # Cuts
//
// Whenever calls are taken out of an Assembler, and whenever a cursor moved,
// the lane writes a cut, under its lock: the transactions, and for each group
// touched the cursor, the books and the digests as they will be true once
// everything up to this cut is delivered. The cursor of a cut is the smaller of
// how far the group was read and the first event of its calls that are still
// open, so the events of open calls are read again after a crash, and those of
// delivered calls, whose digests are saved, are not taken again. Cuts are
// delivered and committed in the order in which they were made. That order is
// the whole argument: a state that is saved never speaks of a call that was
// not delivered, and the books in it count exactly the events whose fate is
// sealed, so that they balance after any crash.
//
// The pipeline gives a batch to all sinks at once and waits for all. Only then
// does it go on, and only between batches does it commit: the positions of the
// sinks in a commit are those of exactly the cuts in it. A sink that restores
// its position after a crash therefore holds every call once; another one may
// get some calls again under the same ids. A sink that fails is called again
// with the same batch for as long as it takes. Meanwhile transactions wait up to
// MaxPending, and then reading stops until there is room.
//
// # The check
//
// A Source that is a Counter tells how many events CloudWatch took in, by the
// minute. The collector counts the same of what it has read (tally), saves that
// with the cursors for all that no reading passes again, and compares sums over
// the last hour. Where they prove that nothing is missing, the slow reading has
// nothing to find and passes on without reading; where a minute is short, the
// time in which its events may be is read again, as far as that is paid for by
// what was spared, and once at the end whatever it costs. What is found goes a way
// of its own: the whole time is read first, and then its calls are rebuilt, handed
// on and cut under one lock, so that no cursor has to go back for them. For an
// hour and three quarters the digests of what was read are kept in a smaller form
// (aged), to tell doubles then.
//
// A pass (RunPass, RunOnce) knows only what it has read itself, so it compares the
// minutes that both readings have passed and spares nothing. What a collector that
// always runs has of the check in memory goes with the count into the State
// (CheckProgress), for the next pass.
//
// # Memory
//
// Bounded by configuration: open calls by MaxOpenCalls (reading slows down
// before that, and calls are evicted, counted, beyond it), transactions that
// wait by MaxPendingTransactions and MaxPendingBytes, pages in flight by
// Concurrency for each lane, digests by MaxDigests (10 to 22 bytes each,
// aged ones a third): beyond it the check looks less far back, and the slow
// reading runs earlier than Overlap, which shortens how
// late an event may come, and says so.
//
// # Limits
//
// An event that CloudWatch shows later than Overlap after its own time is found
// by the check alone, and without a Counter not at all. Timestamps are taken as
// they are: an event dated in the future is read when its time comes, and is
// missing until then for the check; one dated further back than Overlap counts
// as late. A call that was in progress at the moment where the first reading
// began is seen from there on, and a back-fill that goes further back sends its earlier half
// under the same id. Of two different events in 2^64 with the same digest one
// is taken for a double.
//
// Lock order: lane.mu, then pipeline.mu. Neither is held while a Source, a
// Sink, an Observer or the State is called.
package collect
