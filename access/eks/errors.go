package eks

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/gatehouse-project/gatehouse/access"
)

// refused marks the errors of AWS that mean that Gatehouse's own credentials lack a
// permission.
func refused(err error) error {
	switch code := awsCode(err); code {
	case "AccessDeniedException", "AccessDenied", "UnauthorizedOperation":
		return fmt.Errorf("%w: %w", access.ErrRefused, err)
	default:
		return err
	}
}

func awsCode(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func isNotFound(err error) bool { return awsCode(err) == "ResourceNotFoundException" }

// knownRefusal reports whether asking again would be refused again: a permission or
// credentials that are missing, as against an outage.
func knownRefusal(err error) bool {
	return errors.Is(err, access.ErrRefused) || errors.Is(err, errNoAWS)
}

// explain turns what the API server said to a change of a binding into what to do.
func explain(err error, key bindingKey) error {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		return err
	}
	switch {
	case e.Code == http.StatusForbidden && (strings.Contains(e.Message, "attempting to grant RBAC permissions") || strings.Contains(e.Message, "user cannot bind")):
		return fmt.Errorf("%w: %w; Kubernetes lets nobody bind a role that gives more than they have: allow gatehouse the verb bind on %s %s",
			access.ErrRefused, err, strings.ToLower(key.roleKind)+"s", key.role)
	case e.Code == http.StatusForbidden && strings.Contains(e.Message, "because it is being terminated"):
		return fmt.Errorf("%w; the namespace %s is being deleted, and nothing can be made in it", err, key.namespace)
	case e.Code == http.StatusForbidden:
		return fmt.Errorf("%w: %w; gatehouse needs get, list, create, patch and delete on %ss of %s", access.ErrRefused, err, strings.ToLower(key.kind()), rbacGroup)
	case e.Code == http.StatusUnauthorized:
		return fmt.Errorf("%w: %w; map gatehouse's own role to a user of the cluster, or renew the token in the secret store", access.ErrRefused, err)
	case e.Code == http.StatusNotFound && key.namespace != "" && strings.Contains(e.Message, "namespaces"):
		return fmt.Errorf("%w; the namespace %s is gone", err, key.namespace)
	}
	return err
}
