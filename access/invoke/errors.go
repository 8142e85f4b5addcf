package invoke

import (
	"errors"
	"fmt"

	"github.com/aws/smithy-go"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/account"
)

// refused marks the errors of AWS that mean that Gatehouse's own credentials lack a
// permission, and leaves of all others what can be shown.
func refused(err error) error {
	switch {
	case err == nil:
		return nil
	case account.Classify(err) == account.Denied:
		return fmt.Errorf("%w: %s", access.ErrRefused, account.Text(err))
	default:
		return &failure{account.Text(err), err}
	}
}

// failure is an error of AWS with a text that repeats no signed header.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() error { return f.err }

func awsCode(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}
