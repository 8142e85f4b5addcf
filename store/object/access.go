package object

import "github.com/gatehouse-project/gatehouse/access"

// noLendingError is the error of lending with a state that only collects.
type noLendingError struct{}

func (noLendingError) Error() string {
	return "this state is for collecting alone and keeps no record of lent access"
}

// Is makes it access.ErrNotKept.
func (noLendingError) Is(target error) bool { return target == access.ErrNotKept }

// Mend says what to do.
func (noLendingError) Mend() string { return "give a store on a disk with --state to lend access" }

// Lending fails: nothing is lent with this state.
func (*Store) Lending() (access.Store, error) { return nil, noLendingError{} }
