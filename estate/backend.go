package estate

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
)

// VPCLink is a way of API Gateway to backends in a VPC.
type VPCLink struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	// Kind is REST for a link to network load balancers, and V2
	// for one to subnets, which HTTP APIs use.
	Kind           string            `json:"kind"`
	Status         string            `json:"status,omitempty"`
	Targets        []string          `json:"targets,omitempty"` // ARNs of load balancers
	Subnets        []string          `json:"subnets,omitempty"`
	SecurityGroups []string          `json:"security_groups,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
}

// ClientCertificate is a certificate with which API Gateway shows backends who it
// is.
type ClientCertificate struct {
	ID          string            `json:"id"`
	Description string            `json:"description,omitempty"`
	Created     time.Time         `json:"created,omitzero"`
	Expires     time.Time         `json:"expires,omitzero"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// The kinds of VPC links.
const (
	linkREST = "REST"
	linkV2   = "V2"
)

// vpcLinks reads the VPC links of both kinds; each may fail without the other.
func (r *regionReader) vpcLinks(ctx context.Context) []VPCLink {
	rest, err := all(ctx, func(ctx context.Context, token *string) ([]types.VpcLink, *string, error) {
		out, err := r.rest.GetVpcLinks(ctx, &apigateway.GetVpcLinksInput{Limit: aws.Int32(restPage), Position: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.Position, nil
	})
	if err != nil {
		r.missed(readVPCLinks, err, PartVPCLinks)
	}
	v2, err := all(ctx, func(ctx context.Context, token *string) ([]v2types.VpcLink, *string, error) {
		out, err := r.v2.GetVpcLinks(ctx, &apigatewayv2.GetVpcLinksInput{NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.NextToken, nil
	})
	if err != nil {
		r.missed(readV2VPCLinks, err, PartVPCLinks)
	}
	links := make([]VPCLink, 0, len(rest)+len(v2))
	for i := range rest {
		l := &rest[i]
		links = append(links, VPCLink{
			ID: aws.ToString(l.Id), Name: aws.ToString(l.Name), Kind: linkREST, Status: string(l.Status), Targets: l.TargetArns, Tags: l.Tags,
		})
	}
	for i := range v2 {
		l := &v2[i]
		links = append(links, VPCLink{
			ID: aws.ToString(l.VpcLinkId), Name: aws.ToString(l.Name), Kind: linkV2, Status: string(l.VpcLinkStatus),
			Subnets: l.SubnetIds, SecurityGroups: l.SecurityGroupIds, Tags: l.Tags,
		})
	}
	slices.SortFunc(links, func(a, b VPCLink) int { return cmp.Compare(a.ID, b.ID) })
	return links
}

func (r *regionReader) clientCertificates(ctx context.Context) []ClientCertificate {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.ClientCertificate, *string, error) {
		out, err := r.rest.GetClientCertificates(ctx, &apigateway.GetClientCertificatesInput{Limit: aws.Int32(restPage), Position: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.Position, nil
	})
	if err != nil {
		r.missed(readCertificates, err, PartClientCertificates)
	}
	certificates := make([]ClientCertificate, 0, len(items))
	for i := range items {
		c := &items[i]
		certificates = append(certificates, ClientCertificate{
			ID: aws.ToString(c.ClientCertificateId), Description: plainText(aws.ToString(c.Description)),
			Created: utc(c.CreatedDate), Expires: utc(c.ExpirationDate), Tags: c.Tags,
		})
	}
	slices.SortFunc(certificates, func(a, b ClientCertificate) int { return cmp.Compare(a.ID, b.ID) })
	return certificates
}
