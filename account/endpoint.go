package account

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// lateEndpoint makes the STS clients of the default chain honour
// AWS_ENDPOINT_URL. The SDK makes them before it has resolved that variable, so
// that the base credentials of a web identity or of a profile's role would come
// from another place than all the rest. (AWS_ENDPOINT_URL_STS reaches them.)
type lateEndpoint struct {
	url *string // set when the configuration is loaded, before any call
}

func (e *lateEndpoint) option(o *sts.Options) {
	if o.BaseEndpoint == nil {
		o.BaseEndpoint = e.url
	}
}

func (e *lateEndpoint) load() []func(*config.LoadOptions) error {
	return []func(*config.LoadOptions) error{
		config.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) {
			if o.Client != nil {
				o.Client = webIdentityClient{o.Client, e}
			}
		}),
		config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
			if o.Client != nil {
				o.Client = assumeRoleClient{o.Client, e}
			}
		}),
	}
}

type webIdentityClient struct {
	stscreds.AssumeRoleWithWebIdentityAPIClient
	endpoint *lateEndpoint
}

// AssumeRoleWithWebIdentity calls the endpoint that the configuration names.
func (c webIdentityClient) AssumeRoleWithWebIdentity(
	ctx context.Context, in *sts.AssumeRoleWithWebIdentityInput, opts ...func(*sts.Options),
) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	return c.AssumeRoleWithWebIdentityAPIClient.AssumeRoleWithWebIdentity(ctx, in, append(opts, c.endpoint.option)...)
}

type assumeRoleClient struct {
	stscreds.AssumeRoleAPIClient
	endpoint *lateEndpoint
}

// AssumeRole calls the endpoint that the configuration names.
func (c assumeRoleClient) AssumeRole(
	ctx context.Context, in *sts.AssumeRoleInput, opts ...func(*sts.Options),
) (*sts.AssumeRoleOutput, error) {
	return c.AssumeRoleAPIClient.AssumeRole(ctx, in, append(opts, c.endpoint.option)...)
}
