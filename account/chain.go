package account

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// sessionDuration is the longest that AWS lets a chained session last, and
// every role allows it.
const sessionDuration = time.Hour

// longLivedPrefix begins the ids of IAM users' access keys.
const longLivedPrefix = "AKIA"

// link is one credential in the chain with what is needed to make clients from
// it.
type link struct {
	*session
	// caller is the account whose quota the link's own calls to STS count
	// against; empty for the base, whose account is not known before it is asked.
	caller string
}

// baseReserve is how long the base credentials still hold when the SDK's cache
// first takes them for expired, and so how long a failing renewal can be borne.
const baseReserve = 5 * time.Minute

// newBase wraps the default chain of the SDK, whose cache takes credentials for
// expired at least reserve before they are.
func (a *Accounts) newBase(cfg aws.Config, reserve time.Duration) *link {
	s := &session{link: LinkBase, clock: a.clock, metrics: a.metrics}
	if cache, ok := cfg.Credentials.(*aws.CredentialsCache); ok {
		s.forget = cache.Invalidate
	}
	s.fetch = func(ctx context.Context) (aws.Credentials, error) {
		fail := func(err error) error {
			return &ChainError{Link: LinkBase, Region: cfg.Region, Err: err, profile: a.cfg.Profile, now: a.clock()}
		}
		if cfg.Credentials == nil {
			return aws.Credentials{}, fail(ErrNoCredentials)
		}
		creds, err := cfg.Credentials.Retrieve(ctx)
		switch {
		case err != nil && noCredentialsFound(err):
			return aws.Credentials{}, fail(fmt.Errorf("%w: %w", ErrNoCredentials, err))
		case err != nil:
			return aws.Credentials{}, fail(err)
		case !creds.HasKeys():
			return aws.Credentials{}, fail(ErrNoCredentials)
		case !a.cfg.AllowLongLivedKeys && (strings.HasPrefix(creds.AccessKeyID, longLivedPrefix) || longLivedSource(cfg, creds)):
			return aws.Credentials{}, fail(ErrLongLivedKeys)
		}
		if creds.CanExpire {
			creds.Expires = creds.Expires.Add(reserve)
		}
		return creds, nil
	}
	return &link{session: s}
}

// noCredentialsFound recognises the end of the default chain: when nothing is
// configured it asks the instance metadata service, which only EC2 has.
func noCredentialsFound(err error) bool {
	text := err.Error()
	return strings.Contains(text, "no EC2 IMDS role found") || strings.Contains(text, "EC2 IMDS access disabled") ||
		strings.Contains(text, "AnonymousCredentials")
}

// longLivedSource reports whether a profile's role was assumed with an IAM
// user's key, which the temporary credentials that come of it do not show.
func longLivedSource(cfg aws.Config, creds aws.Credentials) bool {
	if creds.Source != stscreds.ProviderName {
		return false
	}
	for _, source := range cfg.ConfigSources {
		shared, ok := source.(config.SharedConfig)
		if !ok || shared.RoleARN == "" {
			continue
		}
		for s := shared.Source; s != nil; s = s.Source {
			if strings.HasPrefix(s.Credentials.AccessKeyID, longLivedPrefix) {
				return true
			}
		}
	}
	return false
}

// newRole makes the link that assumes role from the credentials of from, at
// the STS endpoints of regions, the first that is not disabled.
func (a *Accounts) newRole(kind Link, from *link, role Role, regions []string) *link {
	parsed, _ := parseRoleARN(role.ARN) // New has checked every configured ARN
	s := &session{link: kind, clock: a.clock, metrics: a.metrics}
	s.fetch = func(ctx context.Context) (aws.Credentials, error) {
		var err error
		for _, region := range regions {
			var creds aws.Credentials
			creds, err = a.assume(ctx, from, role, region)
			if err == nil {
				return creds, nil
			}
			// What failed further up the chain is told as it is.
			if chain, ok := errors.AsType[*ChainError](err); ok {
				return aws.Credentials{}, chain
			}
			err = &ChainError{
				Link: kind, ARN: role.ARN, Account: parsed.account, Region: region, Err: err,
				externalID: role.ExternalID, tagged: len(role.SessionTags) > 0, now: a.clock(),
			}
			if errorCode(err) != "RegionDisabledException" {
				break
			}
		}
		return aws.Credentials{}, err
	}
	return &link{session: s, caller: parsed.account}
}

func (a *Accounts) assume(ctx context.Context, from *link, role Role, region string) (aws.Credentials, error) {
	client := sts.NewFromConfig(a.configOf(from.session, from.caller, region))
	in := &sts.AssumeRoleInput{
		RoleArn:         aws.String(role.ARN),
		RoleSessionName: aws.String(role.SessionName),
		DurationSeconds: aws.Int32(int32(sessionDuration / time.Second)),
	}
	if role.ExternalID != "" {
		in.ExternalId = aws.String(role.ExternalID)
	}
	for _, key := range slices.Sorted(maps.Keys(role.SessionTags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(key), Value: aws.String(role.SessionTags[key])})
	}
	out, err := client.AssumeRole(ctx, in)
	if err != nil {
		return aws.Credentials{}, err
	}
	if out.Credentials == nil || aws.ToString(out.Credentials.AccessKeyId) == "" || aws.ToString(out.Credentials.SecretAccessKey) == "" {
		return aws.Credentials{}, errors.New("sts:AssumeRole answered without credentials")
	}
	parsed, _ := parseRoleARN(role.ARN)
	creds := aws.Credentials{
		AccessKeyID:     aws.ToString(out.Credentials.AccessKeyId),
		SecretAccessKey: aws.ToString(out.Credentials.SecretAccessKey),
		SessionToken:    aws.ToString(out.Credentials.SessionToken),
		Source:          "sts:AssumeRole",
		AccountID:       parsed.account,
		CanExpire:       true,
		Expires:         aws.ToTime(out.Credentials.Expiration),
	}
	if creds.Expires.IsZero() {
		creds.Expires = a.clock().Add(sessionDuration)
	}
	return creds, nil
}

// stsRegions returns where to ask STS for a role: in the first region that is
// read with it, since a token of a regional endpoint is valid in every region
// and the call stays where the data is; then in the base region and in the
// partition's own, which are enabled even where an opt-in region's endpoint is
// not.
func (a *Accounts) stsRegions(role Role) []string {
	parsed, _ := parseRoleARN(role.ARN)
	p, ok := partitionByID(parsed.partition)
	if !ok {
		p = partitionOfRegion(a.base.Region)
	}
	var candidates []string
	for _, regions := range [][]string{role.Regions, a.cfg.Regions} {
		if len(regions) > 0 {
			candidates = append(candidates, regions[0])
			break
		}
	}
	candidates = append(candidates, a.base.Region, p.home)
	var regions []string
	for _, region := range candidates {
		if region != "" && region != allRegions && partitionOfRegion(region) == p && !slices.Contains(regions, region) {
			regions = append(regions, region)
		}
	}
	return regions
}
