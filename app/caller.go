package app

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/gatehouse-project/gatehouse/account"
)

// callerWithin bounds a question to STS that somebody waits for.
const callerWithin = 20 * time.Second

// CallerIdentity asks STS whom the credentials of an AWS profile belong to (empty: the
// default credentials), and returns their ARN. The profile alone counts, as it does for
// kubectl: keys in the environment would hide what its session is named.
func (*runtime) CallerIdentity(ctx context.Context, profile string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callerWithin)
	defer cancel()
	a, err := account.New(account.Config{Profile: profile, Regions: []string{"us-east-1"}, AllowLongLivedKeys: true}, looking)
	if err != nil {
		return "", err
	}
	who, err := sts.NewFromConfig(a.Config(account.Target{}, a.Region())).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("asking STS who you are: %s", account.Text(err))
	}
	return aws.ToString(who.Arn), nil
}
