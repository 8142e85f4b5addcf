package object

import (
	"context"

	"github.com/gatehouse-project/gatehouse/finding"
)

// noFindingsError is returned for everything that concerns findings.
type noFindingsError struct{ noInventoryError }

func (noFindingsError) Error() string {
	return "this state holds cursors alone and no findings"
}

// Is makes it finding.ErrNotKept.
func (noFindingsError) Is(target error) bool { return target == finding.ErrNotKept }

// SaveFindings fails: there are no findings.
func (*Store) SaveFindings(context.Context, []finding.Edit, *finding.Posture) error {
	return noFindingsError{}
}

// Findings fails: there are no findings.
func (*Store) Findings(context.Context, finding.Query) (finding.Page, error) {
	return finding.Page{}, noFindingsError{}
}

// Finding fails: there are no findings.
func (*Store) Finding(context.Context, string) (*finding.Finding, error) {
	return nil, noFindingsError{}
}

// Posture fails: there are no findings.
func (*Store) Posture(context.Context) (*finding.Posture, error) { return nil, noFindingsError{} }
