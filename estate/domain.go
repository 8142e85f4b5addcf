package estate

import (
	"cmp"
	"context"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
)

// Domain is a custom domain name.
type Domain struct {
	Name string `json:"name"`
	// ID tells two private domains of one name apart; empty for others.
	ID  string `json:"id,omitempty"`
	ARN string `json:"arn,omitempty"`
	// EndpointTypes are EDGE, REGIONAL or PRIVATE.
	EndpointTypes []string `json:"endpoint_types,omitempty"`
	// TLSPolicy is the security policy, such as TLS_1_2.
	TLSPolicy string `json:"tls_policy,omitempty"`
	// MutualTLS is which client certificates are asked for; nil: none.
	MutualTLS    *MutualTLS        `json:"mutual_tls,omitempty"`
	Certificates []string          `json:"certificates,omitempty"` // ARNs
	Status       string            `json:"status,omitempty"`
	RoutingMode  string            `json:"routing_mode,omitempty"`
	Policy       string            `json:"policy,omitempty"` // of a private domain, JSON
	Mappings     []Mapping         `json:"mappings,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	// Unseen has PartMappings where the mappings were not read.
	Unseen []Part `json:"unseen,omitempty"`
}

// MutualTLS is the truststore of a custom domain.
type MutualTLS struct {
	Truststore string   `json:"truststore"` // s3://bucket/key
	Version    string   `json:"version,omitempty"`
	Warnings   []string `json:"warnings,omitempty"`
}

// Mapping says which API and stage a path of a custom domain reaches.
type Mapping struct {
	// Path is without slashes around it; empty: all that no other mapping takes.
	Path  string `json:"path,omitempty"`
	APIID string `json:"api_id"`
	Stage string `json:"stage,omitempty"` // empty: the path's first segment
}

// domains reads the region's custom domain names. Best evidence: the listing of v1
// has those that were made with v2 too, and only v2 tells mappings of more than one
// segment, but knows regional domains alone.
func (r *regionReader) domains(ctx context.Context) []Domain {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.DomainName, *string, error) {
		out, err := r.rest.GetDomainNames(ctx, &apigateway.GetDomainNamesInput{Limit: aws.Int32(restPage), Position: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.Position, nil
	})
	if err != nil {
		r.missed(readDomainNames, err, PartDomains)
	}
	domains := make([]Domain, 0, len(items))
	for i := range items {
		d := domain(&items[i])
		if mappings, ok := r.sameMappings(&d); ok {
			d.Mappings = mappings
		} else {
			r.mappings(ctx, &d)
		}
		domains = append(domains, d)
	}
	slices.SortFunc(domains, func(a, b Domain) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return domains
}

// sameMappings returns the mappings that a domain had at the last discovery, where
// nothing says that they are others now: AWS tells no time at which they changed.
func (r *regionReader) sameMappings(d *Domain) ([]Mapping, bool) {
	if r.before == nil {
		return nil, false
	}
	i := slices.IndexFunc(r.before.Domains, func(o Domain) bool { return o.Name == d.Name && o.ID == d.ID })
	if i < 0 || len(r.before.Domains[i].Unseen) > 0 {
		return nil, false
	}
	was := r.before.Domains[i]
	mappings := was.Mappings
	was.Mappings = nil
	return mappings, reflect.DeepEqual(was, *d)
}

func (r *regionReader) mappings(ctx context.Context, d *Domain) {
	read, list := readAPIMappings, r.apiMappings
	if !slices.Equal(d.EndpointTypes, []string{string(types.EndpointTypeRegional)}) {
		read, list = readBasePaths, r.basePathMappings
	}
	mappings, err := list(ctx, d)
	if err != nil {
		d.Unseen = mark(d.Unseen, PartMappings)
		r.missed(read, err, "")
	}
	slices.SortFunc(mappings, func(a, b Mapping) int { return cmp.Compare(a.Path, b.Path) })
	d.Mappings = mappings
}

func (r *regionReader) apiMappings(ctx context.Context, d *Domain) ([]Mapping, error) {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]v2types.ApiMapping, *string, error) {
		out, err := r.v2.GetApiMappings(ctx, &apigatewayv2.GetApiMappingsInput{DomainName: aws.String(d.Name), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.NextToken, nil
	})
	mappings := make([]Mapping, 0, len(items))
	for i := range items {
		m := &items[i]
		mappings = append(mappings, Mapping{Path: aws.ToString(m.ApiMappingKey), APIID: aws.ToString(m.ApiId), Stage: aws.ToString(m.Stage)})
	}
	return mappings, err
}

// noBasePath is what v1 writes where a mapping has no path.
const noBasePath = "(none)"

func (r *regionReader) basePathMappings(ctx context.Context, d *Domain) ([]Mapping, error) {
	in := apigateway.GetBasePathMappingsInput{DomainName: aws.String(d.Name), Limit: aws.Int32(restPage)}
	if d.ID != "" {
		in.DomainNameId = aws.String(d.ID)
	}
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.BasePathMapping, *string, error) {
		page := in
		page.Position = token
		out, err := r.rest.GetBasePathMappings(ctx, &page)
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.Position, nil
	})
	mappings := make([]Mapping, 0, len(items))
	for i := range items {
		m := Mapping{Path: aws.ToString(items[i].BasePath), APIID: aws.ToString(items[i].RestApiId), Stage: aws.ToString(items[i].Stage)}
		if m.Path == noBasePath {
			m.Path = ""
		}
		mappings = append(mappings, m)
	}
	return mappings, err
}

func domain(d *types.DomainName) Domain {
	out := Domain{
		Name: aws.ToString(d.DomainName), ID: aws.ToString(d.DomainNameId), ARN: aws.ToString(d.DomainNameArn),
		TLSPolicy: string(d.SecurityPolicy), Status: string(d.DomainNameStatus), RoutingMode: string(d.RoutingMode),
		Policy: unescapePolicy(aws.ToString(d.Policy)), Tags: d.Tags,
	}
	if d.EndpointConfiguration != nil {
		for _, t := range d.EndpointConfiguration.Types {
			out.EndpointTypes = append(out.EndpointTypes, string(t))
		}
	}
	for _, arn := range []*string{d.CertificateArn, d.RegionalCertificateArn} {
		if aws.ToString(arn) != "" {
			out.Certificates = append(out.Certificates, *arn)
		}
	}
	if m := d.MutualTlsAuthentication; m != nil && aws.ToString(m.TruststoreUri) != "" {
		out.MutualTLS = &MutualTLS{Truststore: *m.TruststoreUri, Version: aws.ToString(m.TruststoreVersion), Warnings: m.TruststoreWarnings}
	}
	return out
}
