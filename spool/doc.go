// Package spool keeps pushed log events safe until they were delivered, and gives
// them to the collector as a collect.Source. CloudWatch Logs subscriptions push
// their events through Firehose, Kinesis or Lambda, and forget them once they are
// acknowledged; the spool writes them to a flat store of blobs, a folder or a
// bucket, before that.
//
// # The order of reading
//
// Pushed events come when they come: Firehose alone holds them back for up to 15
// minutes, and tries again for two hours. A cursor over their own time would have
// passed them by then. The spool therefore orders events by when they arrived: an
// event that it gives has the time of its blob as Timestamp, and its own time as
// Logged. No event is ever late in that order, a cursor, the digests and the books
// of the collector hold as they do for CloudWatch, and what is behind the cursor
// can be removed. The lines of a call that arrive in two blobs are joined if the
// second comes within the collector's Idle of the first.
//
// # Blobs
//
//	events/<time>-<group>-<events>-<random>  events of one group that arrived together
//	groups/<group>                           which log group that is
//	rejected/<slot>                          what could not be read, the last of each slot
//
// A name tells all that the index needs, so opening a spool only lists it. The
// time of a blob is after everything that was read and that the cursor passed,
// and reading waits for blobs of its window that are still being written: a
// reading that is done cannot have missed one. Where several processes share a
// bucket there is no such waiting between them; the collector's second reading
// finds what was written in the meantime, and a blob that took too long to write
// is written again under a new time.
//
// A blob is removed once the saved cursors of both readings have passed it. That
// state is seen through Spool.State, which stands before the collector's own.
package spool
