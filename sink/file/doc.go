// Package file delivers transactions to NDJSON files in a directory, each
// exactly once by id, through crashes at any point.
//
// # Files
//
//	transactions.ndjson                      the active file: lines are appended
//	transactions-20260102T150405.000Z.ndjson a rotated file, not compressed yet
//	…ndjson.zst, …ndjson.gz                  a rotated file
//	set-aside-transactions-…                 see below
//	.transactions.json                       which file is the active one
//	.lock                                    held by the one process that writes
//
// Every file has an identity from its birth: the moment it was begun, made
// unique and growing. The active file does not show its identity; rotation
// gives it its name. A position is an identity and an offset in that file.
//
// # Why no line is lost or doubled
//
// A position says: this much of that file, all files before it, and nothing
// else. Restore makes that so. It never has to know how far a rotation had
// come when the process died, because a file is either still active or has a
// name with its identity in it:
//
//   - A rotated file has the identity of the position: its rotation was not
//     committed. The file becomes the active one again (out of its compressed
//     form if need be), replacing whatever is active, which only holds lines
//     that nobody acknowledged; then it is cut at the offset.
//   - No rotated file has it: the active file is the one, and is cut.
//   - The active file is known to be another one: the file of the position was
//     removed, by a person or by keep. What came after the position is set
//     aside, and a new file begins.
//
// Each of Restore's own steps leaves one of these states, so a crash in Restore
// is mended by the next Restore. Rotation is a rename; the name of the new file
// is written down before the new file is made, so that the third case can be
// told from the second. Compression writes to a temporary name, syncs, renames
// and only then removes its source: at every moment one whole copy exists.
//
// Before the first commit there is no position to cut back to. Therefore the
// first Restore notes, in .transactions.json, that nothing has been committed
// yet; a Restore without position that finds this note takes it for the
// position at the very beginning. The note goes when a second position was
// handed out and yet another batch came, since commits are made one after the
// other. A Restore without position that finds no note means that the state was
// lost: then everything there is kept, under a rotated name.
//
// A position that lies more than one rotation back is an old state, restored
// from a copy. Its later files are not deleted but set aside under another
// name: their lines will be delivered again, if CloudWatch still has them.
//
// # Power loss
//
// Deliver returns after fsync of the file, and after fsync of the directory
// where a name changed. A write that fails is cut back to the last acknowledged
// offset, at once or before the next write.
package file
