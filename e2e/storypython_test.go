//go:build integration

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The invoker story from Python: boto3 assumes the role through the local STS,
// botocore signs, requests sends.
func TestIntegrationInvokerRoleFromPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is missing: make integration installs boto3 and requests beside it")
	}
	gw, sts := gatewayWithSTS(t, predictGateway(function(t, predict)))
	for _, c := range []struct{ name, key, secret, want string }{
		{"trusted", "AKIAEXAMPLEANA000000", "the-secret-of-ana-in-a-test", `200 {"class":"setosa"}`},
		{"not trusted", "AKIAEXAMPLEBO0000000", "the-secret-of-bo-in-a-test", "User: arn:aws:iam::" + clientAccount + ":user/bo is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::" + ordersAccount + ":role/predict-api-invoker"},
		{"wrong secret", "AKIAEXAMPLEANA000000", "another", "SignatureDoesNotMatch"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), python, "testdata/invoke.py", gw+"/prod/predict", "arn:aws:iam::"+ordersAccount+":role/predict-api-invoker", "eu-west-1")
			cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+c.key, "AWS_SECRET_ACCESS_KEY="+c.secret, "AWS_ENDPOINT_URL_STS="+sts, "AWS_SESSION_TOKEN=")
			out, _ := cmd.CombinedOutput() // what it says is what counts
			if !strings.Contains(string(out), c.want) {
				t.Errorf("want %s in:\n%s", c.want, tail(string(out)))
			}
		})
	}
}
