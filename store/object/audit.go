package object

import (
	"context"

	"github.com/gatehouse-project/gatehouse/audit"
)

// noAuditError is returned for everything that concerns the audit log.
type noAuditError struct{}

func (noAuditError) Error() string {
	return "this state holds cursors alone and keeps no audit log"
}

// Mend says what to do.
func (noAuditError) Mend() string { return "give a database with --state sqlite:PATH" }

// Is makes it audit.ErrNotKept.
func (noAuditError) Is(target error) bool { return target == audit.ErrNotKept }

// Append fails: there is no audit log.
func (*Store) Append(context.Context, ...audit.Event) error { return noAuditError{} }

// AuditEvents fails: there is no audit log.
func (*Store) AuditEvents(context.Context, audit.Query) (audit.Page, error) {
	return audit.Page{}, noAuditError{}
}

// AuditEvent fails: there is no audit log.
func (*Store) AuditEvent(context.Context, uint64) (*audit.Event, error) {
	return nil, noAuditError{}
}

// AuditHead fails: there is no audit log.
func (*Store) AuditHead(context.Context) (audit.Head, error) { return audit.Head{}, noAuditError{} }

// AuditLines fails: there is no audit log.
func (*Store) AuditLines(context.Context, uint64, func([]byte) error) error { return noAuditError{} }
