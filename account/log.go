package account

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/aws/smithy-go/logging"
)

// sdkLog sends what the AWS SDK has to say, which is never more than a remark,
// to the log of the product instead of to standard error.
type sdkLog struct{ log *slog.Logger }

var _ logging.Logger = sdkLog{}

// Logf writes one remark.
func (l sdkLog) Logf(_ logging.Classification, format string, args ...any) {
	l.log.DebugContext(context.Background(), "aws sdk", "says", fmt.Sprintf(format, args...))
}
