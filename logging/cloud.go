package logging

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Accounts reaches the accounts; *account.Accounts does.
type Accounts interface {
	Targets(ctx context.Context) ([]account.Target, []account.Problem)
	Config(t account.Target, region string) aws.Config
}

var _ Accounts = (*account.Accounts)(nil)

// errGone occurs when the API or the stage of a setting does not exist any more.
var errGone = errors.New("the API or the stage does not exist any more")

// place is one region of one account, where settings are read and written.
type place struct {
	account, region string
	rest            *apigateway.Client
	v2              *apigatewayv2.Client
	logs            *cloudwatchlogs.Client
	iam             *iam.Client
}

func newPlace(accounts Accounts, t account.Target, region string) *place {
	cfg := accounts.Config(t, region)
	return &place{
		account: t.Account, region: region,
		rest: apigateway.NewFromConfig(cfg), v2: apigatewayv2.NewFromConfig(cfg),
		logs: cloudwatchlogs.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg),
	}
}

// step is what is read and written together: all settings of a stage that the API
// of its type keeps in one place, or a setting that stands alone.
type step struct {
	kind    transaction.APIType // of the stage; empty where it is none
	changes []*Change
}

// read returns the values of the settings of a step as they are, in its order. It
// returns errGone where there is nothing any more that could have them.
func (p *place) read(ctx context.Context, s *step) ([]string, error) {
	switch c := s.changes[0]; c.Kind {
	case KindExecution, KindAccess:
		if s.kind == transaction.REST {
			return p.readREST(ctx, s)
		}
		return p.readV2(ctx, s)
	default:
		v, err := p.readOne(ctx, c.Key)
		return []string{v}, err
	}
}

func (p *place) readOne(ctx context.Context, k Key) (string, error) {
	switch k.Kind {
	case KindRole:
		return p.readRole(ctx, k.Subject)
	case KindAccount:
		return p.readAccount(ctx)
	case KindGroup:
		return p.readGroup(ctx, k.Subject)
	case KindDelivery:
		return p.readDelivery(ctx, k)
	case KindExecution, KindAccess:
	}
	return "", fmt.Errorf("setting of kind %q is not one that stands alone", k.Kind)
}

// write sets the settings of a step to the given values. Everything that it does
// may be done again: a call that was made already changes nothing.
func (p *place) write(ctx context.Context, s *step, values []string) error {
	switch c := s.changes[0]; c.Kind {
	case KindExecution, KindAccess:
		if s.kind == transaction.REST {
			return p.writeREST(ctx, s, values)
		}
		return p.writeV2(ctx, s, values)
	case KindRole:
		return p.writeRole(ctx, c.Subject, values[0])
	case KindAccount:
		return p.writeAccount(ctx, values[0])
	case KindGroup:
		return p.writeGroup(ctx, c.Subject, values[0])
	case KindDelivery:
		return p.writeDelivery(ctx, c.Key, values[0])
	}
	return fmt.Errorf("setting of kind %q cannot be written", s.changes[0].Kind)
}

// gone reports whether an error says that a thing does not exist.
func gone(err error) bool { return account.Classify(err) == account.Gone }
