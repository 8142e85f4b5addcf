-- What appeared, changed and went in the estate, as each discovery saw it. Times are
-- milliseconds since the epoch, and empty texts are what does not apply.
CREATE TABLE estate_history (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	at      INTEGER NOT NULL,
	account TEXT    NOT NULL,
	region  TEXT    NOT NULL,
	api     TEXT    NOT NULL,
	type    TEXT    NOT NULL,
	subject TEXT    NOT NULL,
	name    TEXT    NOT NULL,
	kind    TEXT    NOT NULL,
	field   TEXT    NOT NULL,
	before  TEXT    NOT NULL,
	after   TEXT    NOT NULL
) STRICT;
CREATE INDEX estate_history_by_time ON estate_history (at);
CREATE INDEX estate_history_by_account ON estate_history (account, id);
CREATE INDEX estate_history_by_api ON estate_history (api, id);
