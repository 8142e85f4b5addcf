package deploy

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// pattern is a check against AWS's own grammar of a name. What passes holds no
// quotation mark, no brace and no dollar sign, which is what keeps a value from
// meaning more than itself in HCL, YAML or a policy.
func pattern(what, expr string) func(string) error {
	re := regexp.MustCompile(`\A(?:` + expr + `)\z`)
	return func(text string) error {
		if len(text) > maxText || !re.MatchString(text) {
			return fmt.Errorf("%q is not %s", clip(text), what)
		}
		return nil
	}
}

// maxText bounds a value in bytes: the longest that AWS takes for any of them.
const maxText = 1224

func oneOf(choices ...string) func(string) error {
	return func(text string) error {
		if !slices.Contains(choices, text) {
			return fmt.Errorf("%q is none of %s", clip(text), strings.Join(choices, ", "))
		}
		return nil
	}
}

func number(least, most int) func(string) error {
	return func(text string) error {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most || strconv.Itoa(n) != text {
			return fmt.Errorf("%q is not a number from %d to %d", clip(text), least, most)
		}
		return nil
	}
}

var (
	checkFlag      = oneOf("true", "false")
	checkRegion    = pattern("a region", `[a-z]{2,3}(-[a-z]{1,12}){1,2}-[0-9]{1,2}`)
	checkPartition = oneOf("aws", "aws-cn", "aws-us-gov")
	checkPolicy    = pattern("the name of a policy: 1 to 128 letters, digits or +=,.@_-", `[\w+=,.@-]{1,128}`)
	checkRole      = pattern("the name of a role: 1 to 64 letters, digits or +=,.@_-", `[\w+=,.@-]{1,64}`)
	checkExternal  = pattern("an external id: 2 to 1,224 letters, digits or +=,.@:/-", `[\w+=,.@:/-]{2,}`)
	checkDNSLabel  = pattern("a name of Kubernetes: lower-case letters, digits and -", `[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?`)
	checkName      = pattern("a name: letters, digits, - and _, 64 at most", `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`)
	checkAPI       = pattern("the id of an API", `[a-z0-9]{8,16}`)
	checkStage     = pattern("a stage", stageName+`|\$default`)
	checkAPIStage  = pattern("an API's id and a stage", `[a-z0-9]{8,16}/[A-Za-z0-9_-]{1,128}`)
	checkMethod    = oneOf("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
	checkPath      = pattern("a path", `/([\w.~:+-]+|\{[\w.-]+\+?\})?(/([\w.~:+-]+|\{[\w.-]+\+?\}))*`)
	checkObject    = pattern("the key of an object", `[\w!.*'()/-]{1,512}`)
	checkKMS       = pattern("the ARN of a KMS key", `arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,64}`)
	checkFunction  = pattern("the ARN of a function", `arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9_$-]{1,128})?`)
	checkOU        = pattern("an organizational unit or a root", `ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|r-[a-z0-9]{4,32}`)
	checkSubject   = pattern("the user name of a cluster", `[\w:@.+=-]*(\{\{SessionName(Raw)?\}\})[\w:@.+=-]*`)
	checkCluster   = pattern("the name of a cluster", `[0-9A-Za-z][A-Za-z0-9_-]{0,99}`)
	checkSAML      = pattern("the name of a SAML provider", `[\w.-]{1,128}`)
	checkSSO       = pattern("the name of a permission set", `[\w+=,.@-]{1,32}`)
	checkKubeGroup = pattern("a group of Kubernetes", `[\w:.@-]{1,63}`)
	checkPrefix    = pattern("an account and the beginning of a role's name", `[0-9]{12}:[\w+=,.@-][\w+=,.@/-]{0,126}`)
	checkHandler   = pattern("a handler", `[\w./:-]{1,128}`)
	checkEnv       = pattern("NAME=VALUE of Gatehouse's environment, without blanks, quotation marks and braces",
		`(GATEHOUSE|AKTO|CLOUDWATCH|LOG|cequence)_[A-Za-z0-9_]{1,100}=[\w!#%&()*+./:;<>=?@^|~-]*`)
)

// checkAccount takes an account, but for the number that no account has.
func checkAccount(text string) error {
	if text == anyAccount {
		return fmt.Errorf("%q is not an account: it stands for none", text)
	}
	return pattern("an account: 12 digits", `[0-9]{12}`)(text)
}

// checkBucket takes what S3 lets a bucket be called.
func checkBucket(text string) error {
	bucket := pattern("the name of a bucket", `[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]`)
	address := pattern("", `[0-9]{1,3}(\.[0-9]{1,3}){3}`)
	if strings.Contains(text, "..") || address(text) == nil || strings.HasPrefix(text, "xn--") || strings.HasPrefix(text, "sthree-") ||
		strings.HasSuffix(text, "-s3alias") || strings.HasSuffix(text, "--ol-s3") {
		return fmt.Errorf("%q is a name that S3 lets no bucket have", clip(text))
	}
	return bucket(text)
}

// checkGroup takes the name of a log group. CloudWatch Logs keeps those that begin with
// aws/ to itself.
func checkGroup(text string) error {
	if strings.HasPrefix(text, "aws/") {
		return fmt.Errorf("%q begins with aws/, which CloudWatch Logs takes for no log group: write /aws/…", clip(text))
	}
	return pattern("the name of a log group", `[.\-_/#A-Za-z0-9]{1,512}`)(text)
}

// stageName is what a stage may be called, with a letter or digit somewhere.
const stageName = `[A-Za-z0-9_-]{0,127}[A-Za-z0-9][A-Za-z0-9_-]{0,127}`

// retentions are the days that CloudWatch Logs knows.
var checkRetention = oneOf("1", "3", "5", "7", "14", "30", "60", "90", "120", "150", "180", "365", "400", "545", "731",
	"1096", "1827", "2192", "2557", "2922", "3288", "3653")

// principal checks the ARN of a role or user that can be named as it is.
func principal(kind iam.PrincipalKind, what string) func(string) error {
	shape := pattern(what, `arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[\w+=,.@/-]{1,512}`)
	return func(text string) error {
		p, err := iam.ParsePrincipal(text)
		if err != nil || p.Kind != kind {
			return fmt.Errorf("%q is not %s", clip(text), what)
		}
		return shape(text)
	}
}

var (
	checkRoleARN = principal(iam.PrincipalRole, "the ARN of a role")
	checkUserARN = principal(iam.PrincipalUser, "the ARN of a user")
)

// checkIssuer takes the issuer of an EKS cluster, or of any other OIDC provider.
func checkIssuer(text string) error {
	return pattern("the issuer of a cluster", `https://[a-z0-9.-]{3,200}(/[\w./-]{1,200})?`)(strings.TrimSuffix(text, "/"))
}

// checkOrigin takes what a browser sends as Origin. API Gateway writes it between
// single quotes, so none may be in it.
func checkOrigin(text string) error {
	return pattern("an origin", `https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?`)(text)
}

// checkSink takes the address of a sink. One that holds a password is refused: it
// would stand in the state of Terraform, the template and the function's settings.
func checkSink(text string) error {
	if err := pattern("the address of a sink", `stdout:|[a-z0-9+]{2,16}:[\w!%&()*+,./:;=?@~-]+`)(text); err != nil {
		return err
	}
	scheme, _, _ := strings.Cut(text, ":")
	if schemes := []string{"kafka", "https", "http", "otlp", "otlps", "file", "stdout"}; !slices.Contains(schemes, scheme) {
		return fmt.Errorf("there is no %s sink: it is one of %s", clip(scheme), strings.Join(schemes, ", "))
	}
	if holdsSecret("", text) {
		return errors.New("an address with a password would be readable in the stack") // the text is not told
	}
	_, query, _ := strings.Cut(text, "?")
	keys, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("what stands behind ? is no list of NAME=VALUE")
	}
	for key := range keys {
		if secretName.MatchString(key) {
			return fmt.Errorf("%s would be readable in the stack", key)
		}
	}
	return nil
}

// secretName matches names of what should not stand in a function's settings.
var secretName = regexp.MustCompile(`(?i)secret|token|password|passwd|credential|(api|access)_?key`)

// checkEnvironment refuses variables whose name says that they hold a secret, as
// checkSink does addresses.
func checkEnvironment(text string) error {
	name, value, _ := strings.Cut(text, "=")
	if err := checkEnv(text); err != nil {
		if secretName.MatchString(name) {
			return errors.New("a variable for a secret would be readable in the stack")
		}
		return err
	}
	if holdsSecret(name, value) {
		return fmt.Errorf("%s, or a password in it, would be readable in the stack", clip(name))
	}
	return nil
}
