package estate

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"
)

func TestCORSTemplates(t *testing.T) {
	t.Parallel()
	one := func(t CORSTemplate) []CORSTemplate { t.Where = "w"; return []CORSTemplate{t} }
	for name, c := range map[string]struct {
		template string
		want     []CORSTemplate
	}{
		"at once":   {`#set($context.responseOverride.header.Access-Control-Allow-Origin = $input.params("origin"))`, one(CORSTemplate{})},
		"in quotes": {`#set($context.responseOverride.header['access-control-allow-origin'] = "$input.params().header.get('Origin')")`, one(CORSTemplate{})},
		"by a variable, as AWS's documentation has it": {`
			#set($origin = $input.params().header.get("Origin"))
			#if($origin == "") #set($origin = $input.params().header.get("origin")) #end
			#if($origin.matches(".+"))
				#set($context.responseOverride.header.Access-Control-Allow-Origin = $origin)
			#end`, one(CORSTemplate{Guards: [][]string{{".+"}}})},
		"one of two": {
			`
			#set($o = $input.params("Origin"))
			#if($o == "https://a.example" || $o == 'https://b.example')#set($context.responseOverride.header.Access-Control-Allow-Origin = "$o")#end`,
			one(CORSTemplate{Guards: [][]string{{`https://a\.example`, `https://b\.example`}}}),
		},
		"in one another": {
			`
			#set($o = $input.params("Origin"))
			#if($o != "")#if($o.endsWith("example.com"))#set($context.responseOverride.header.Access-Control-Allow-Origin = $o)#end#end`,
			one(CORSTemplate{Guards: [][]string{{`.*example\.com`}}}),
		},
		"after its condition": {`
			#set($o = $input.params("Origin"))
			#if($o == "https://a.example")x#end
			#set($context.responseOverride.header.Access-Control-Allow-Origin = $o)`, one(CORSTemplate{})},
		"a condition of something else": {
			`
			#if($stageVariables.cors == "open")#set($context.responseOverride.header.Access-Control-Allow-Origin = $input.params("origin"))#end`,
			one(CORSTemplate{Opaque: true}),
		},
		"otherwise": {
			`
			#set($o = $input.params("Origin"))
			#if($o == "https://a.example")x#else#set($context.responseOverride.header.Access-Control-Allow-Origin = $o)#end`,
			one(CORSTemplate{Opaque: true}),
		},
		"a fixed one":       {`#set($context.responseOverride.header.Access-Control-Allow-Origin = "https://a.example")`, nil},
		"another header":    {`## Access-Control-Allow-Origin is set elsewhere` + "\n" + `#set($context.responseOverride.header.X = $input.params("origin"))`, nil},
		"nothing":           {`{"statusCode": 200}`, nil},
		"that does not end": {`#set($context.responseOverride.header.Access-Control-Allow-Origin = $input.params("origin"`, nil},
		"with a formal end": {`#{if}($x)#{end}#set($context.responseOverride.header.Access-Control-Allow-Origin = $input.params('origin'))`, one(CORSTemplate{})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, corsTemplates("w", c.template)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzCORSTemplates(f *testing.F) {
	f.Add(`#set($o = $input.params("Origin"))#if($o.matches(".+"))#set($context.responseOverride.header.Access-Control-Allow-Origin = $o)#end`)
	f.Add(`#if(#if(#else#end#end)))#set(`)
	f.Fuzz(func(t *testing.T, template string) {
		for _, c := range corsTemplates("w", template) {
			for _, guard := range c.Guards {
				for _, p := range guard {
					if len(p) > 4*guardBytes {
						t.Errorf("a pattern has %d bytes", len(p))
					}
				}
			}
		}
	})
}

// TestRouteKeepsCORSTemplates finds them in the templates of both directions.
func TestRouteKeepsCORSTemplates(t *testing.T) {
	t.Parallel()
	const reflects = `#set($context.responseOverride.header.Access-Control-Allow-Origin = $input.params("origin"))`
	routes := restRoutes(&types.Resource{Path: aws.String("/pets"), ResourceMethods: map[string]types.Method{"OPTIONS": {
		AuthorizationType: aws.String("NONE"),
		MethodIntegration: &types.Integration{
			Type: types.IntegrationTypeMock, RequestTemplates: map[string]string{"application/json": `{"statusCode": 200}` + reflects},
			IntegrationResponses: map[string]types.IntegrationResponse{"200": {ResponseTemplates: map[string]string{"application/json": reflects, "text/plain": "none"}}},
		},
	}}}, secretScan{&API{}})
	want := []CORSTemplate{{Where: "request template application/json"}, {Where: "response template 200 application/json"}}
	if diff := cmp.Diff(want, routes[0].CORSTemplates); diff != "" {
		t.Error(diff)
	}
}
