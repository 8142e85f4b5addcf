package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/api"
)

func newAccessKubeconfig(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kubeconfig [INTEGRATION|GRANT]",
		Short: "Write what kubectl needs for a cluster that was lent to you",
		Long: `Write what kubectl needs for a cluster that was lent to you: a context in your
kubeconfig, and an AWS profile with role_session_name, by which the cluster knows you. What
stands in the files stays. Without an argument it is the one cluster that you have.

The kubeconfig is --kubeconfig, else the first of KUBECONFIG, else ~/.kube/config; the
profile goes to AWS_CONFIG_FILE, else ~/.aws/config. The context calls 'aws eks get-token
--profile', never with --role-arn: the AWS CLI would name every session EKSGetTokenAuth,
and nobody would be who they are.`,
		Example: `  gatehouse access kubeconfig prod-1
  gatehouse access kubeconfig prod-1 --print > ~/.kube/prod-1
  gatehouse access kubeconfig prod-2 --profile prod-2-access --alias prod-2`,
		Args: named("at most one integration or grant", 0, 1),
	}
	connect := addServer(cmd)
	printOnly := cmd.Flags().Bool("print", false, "print a kubeconfig of its own and write no file")
	file := cmd.Flags().String("kubeconfig", "", "the kubeconfig to write")
	alias := cmd.Flags().String("alias", "", "another name for the context")
	profile := cmd.Flags().String("profile", "", "another name for the AWS profile")
	source := cmd.Flags().String("source-profile", "", "the AWS profile that you sign in with (default what the integration says)")
	keep := cmd.Flags().Bool("keep-context", false, "do not make it the current context")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		for flag, name := range map[string]string{"alias": *alias, "profile": *profile, "source-profile": *source} {
			if name != "" && !plainName.MatchString(name) {
				return usagef("--%s: %q has other than letters, digits and _+=,.@-", flag, name)
			}
		}
		c, err := connect()
		if err != nil {
			return err
		}
		which := ""
		if len(args) == 1 {
			which = args[0]
		}
		way, err := c.wayToCluster(cmd.Context(), which)
		if err != nil {
			return err
		}
		way.name, way.profile, way.source = cmp.Or(*alias, way.name), cmp.Or(*profile, way.profile), cmp.Or(*source, way.source)
		if *printOnly {
			return way.print(s)
		}
		return way.write(s, *file, !*keep, asJSON)
	}
	return cmd
}

// clusterWay is how a person reaches a cluster that was lent to them.
type clusterWay struct {
	integration, person string
	name                string // of the context
	server, authority   string
	cluster, region     string
	profile, source     string
	role, session       string
	process             bool // the profile gets credentials from Gatehouse: it is an API's
}

// plainName is what names of profiles and contexts are made of here.
var plainName = regexp.MustCompile(`^[\w+=,.@][\w+=,.@-]{0,127}$`)

// wayToCluster finds the grant that is meant and reads how to use it.
func (c *client) wayToCluster(ctx context.Context, which string) (*clusterWay, error) {
	grants, err := c.live(ctx, "")
	if err != nil {
		return nil, err
	}
	var ways []*clusterWay
	var last error
	for i := range grants {
		g := &grants[i]
		if which != "" && g.ID != which && !slices.ContainsFunc(g.Items, func(it api.AccessItem) bool { return it.Integration == which }) {
			continue
		}
		d, err := c.details(ctx, g.ID)
		if err != nil {
			return nil, err
		}
		found, err := waysIn(d, g)
		if err != nil {
			last = err
		}
		for _, w := range found {
			if (which == "" || which == g.ID || which == w.integration) && !slices.ContainsFunc(ways, func(o *clusterWay) bool { return w.same(o) }) {
				ways = append(ways, w)
			}
		}
	}
	switch {
	case len(ways) == 1:
		return ways[0], nil
	case len(ways) > 1:
		var names []string
		for _, w := range ways {
			names = append(names, w.integration+" ("+w.name+", profile "+w.profile+")")
		}
		return nil, withHint(fmt.Errorf("there are several ways: %s", strings.Join(names, ", ")), "name one integration, or one grant")
	case last != nil:
		return nil, last
	case which == "":
		return nil, withHint(errors.New("you have no cluster now"), "'gatehouse access request' asks for one")
	default:
		return nil, withHint(fmt.Errorf("you have nothing on a cluster by %q now", which), "'gatehouse access list' lists what you have")
	}
}

func (w *clusterWay) same(o *clusterWay) bool {
	a, b := *w, *o
	a.integration, b.integration = "", ""
	return a == b
}

// kubeconfigFile is a kubeconfig as Gatehouse writes it, and nothing that it does not.
type kubeconfigFile struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Clusters   []struct {
		Name    string      `yaml:"name"`
		Cluster kubeCluster `yaml:"cluster"`
	} `yaml:"clusters"`
	Users []struct {
		Name string `yaml:"name"`
		User struct {
			Exec kubeExec `yaml:"exec"`
		} `yaml:"user"`
	} `yaml:"users"`
	Contexts []struct {
		Name    string      `yaml:"name"`
		Context kubeContext `yaml:"context"`
	} `yaml:"contexts"`
	CurrentContext string `yaml:"current-context"`
}

type kubeCluster struct {
	Server    string `yaml:"server"`
	Authority string `yaml:"certificate-authority-data,omitempty"`
}

type kubeExec struct {
	APIVersion      string   `yaml:"apiVersion"`
	Command         string   `yaml:"command"`
	InteractiveMode string   `yaml:"interactiveMode"`
	Args            []string `yaml:"args"`
}

type kubeContext struct {
	Cluster string `yaml:"cluster"`
	User    string `yaml:"user"`
}

// waysIn reads the ways to clusters from the details of a grant. A kubeconfig names a
// program that kubectl runs, so nothing is taken over that is not understood: a server,
// or somebody between, could otherwise run what they like on the person's machine.
func waysIn(d *access.Details, g *api.AccessGrant) ([]*clusterWay, error) {
	// Details tell of one integration after the other, each with its profile first.
	var ways []*clusterWay
	var profile map[string]string
	integration := firstIntegration(g)
	for _, sn := range d.Snippets {
		if sn.Language == "ini" {
			profile = readProfile(sn.Text)
		}
		if m := ownCommand.FindStringSubmatch(sn.Text); m != nil {
			integration = m[1]
		}
		if sn.Language != "yaml" || !strings.Contains(sn.Text, "kind: Config") {
			continue
		}
		w, err := readWay(sn.Text, profile)
		if err != nil {
			return nil, fmt.Errorf("the kubeconfig of grant %s is not used: %w", g.ID, err)
		}
		if w.session != g.Person.ID {
			return nil, fmt.Errorf("the kubeconfig of grant %s is not used: its session is named %q and you are %q", g.ID, w.session, g.Person.ID)
		}
		w.integration, w.person = integration, g.Person.ID
		ways = append(ways, w)
	}
	if len(ways) == 0 && slices.ContainsFunc(d.Snippets, func(sn access.Snippet) bool { return strings.Contains(sn.Text, "eks update-kubeconfig") }) {
		return nil, withHint(fmt.Errorf("the address of the cluster of grant %s is not known yet", g.ID), "'gatehouse access show "+g.ID+"' has the commands to use meanwhile")
	}
	return ways, nil
}

// ownCommand is this command as details print it.
var ownCommand = regexp.MustCompile(`(?m)^gatehouse access kubeconfig ([a-z0-9-]+)`)

func readWay(text string, profile map[string]string) (*clusterWay, error) {
	var k kubeconfigFile
	dec := yaml.NewDecoder(strings.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&k); err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	if len(k.Clusters) != 1 || len(k.Users) != 1 || len(k.Contexts) != 1 {
		return nil, errors.New("it has other than one cluster, one user and one context")
	}
	w := &clusterWay{name: k.Contexts[0].Name, server: k.Clusters[0].Cluster.Server, authority: k.Clusters[0].Cluster.Authority}
	u, err := url.Parse(w.server)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("its server has no https address")
	}
	exec := k.Users[0].User.Exec
	if exec.Command != "aws" || len(exec.Args) < 2 || exec.Args[0] != "eks" || exec.Args[1] != "get-token" || len(exec.Args)%2 != 0 {
		return nil, errors.New("it would run something else than aws eks get-token")
	}
	for i := 2; i < len(exec.Args); i += 2 {
		value := exec.Args[i+1]
		if !plainName.MatchString(value) {
			return nil, fmt.Errorf("%q is no value for %s", value, exec.Args[i])
		}
		switch exec.Args[i] {
		case "--cluster-name":
			w.cluster = value
		case "--region":
			w.region = value
		case "--profile":
			w.profile = value
		case "--output":
		case "--role-arn", "--role":
			return nil, errors.New("it gives " + exec.Args[i] + ", and the AWS CLI would name your session EKSGetTokenAuth")
		default:
			return nil, fmt.Errorf("it gives %q to aws eks get-token", exec.Args[i])
		}
	}
	if w.cluster == "" || w.profile == "" || !plainName.MatchString(w.name) {
		return nil, errors.New("it lacks the name of the cluster, the profile or the context")
	}
	if profile[""] != w.profile {
		return nil, fmt.Errorf("there is no profile %s with it", w.profile)
	}
	return w, w.use(profile)
}

// use takes over the profile that the details give. Another key could name a program to
// run.
func (w *clusterWay) use(p map[string]string) error {
	for key, value := range p {
		if key == "" {
			continue
		}
		if !slices.Contains([]string{"role_arn", "role_session_name", "source_profile"}, key) {
			return fmt.Errorf("its profile sets %q", key)
		}
		if strings.ContainsAny(value, "\r\n") || value == "" {
			return fmt.Errorf("its profile has no usable %s", key)
		}
	}
	w.role, w.session, w.source = p["role_arn"], p["role_session_name"], p["source_profile"]
	if w.role == "" || w.session == "" || w.source == "" {
		return errors.New("its profile lacks role_arn, role_session_name or source_profile")
	}
	if strings.Contains(w.role, "<") {
		return errors.New("the account of its role is not known yet; ask who administers to check the integration")
	}
	return nil
}

// args are those of the aws command that makes a token.
func (w *clusterWay) args() []string {
	args := []string{"eks", "get-token", "--cluster-name", w.cluster}
	if w.region != "" {
		args = append(args, "--region", w.region)
	}
	return append(args, "--output", "json", "--profile", w.profile)
}

// profileText is the profile for the AWS configuration.
func (w *clusterWay) profileText() string {
	return "[profile " + w.profile + "]\nrole_arn = " + w.role + "\nrole_session_name = " + w.session + "\nsource_profile = " + w.source + "\n"
}

func (w *clusterWay) entries() (cluster, user, kubeCtx any) {
	exec := kubeExec{APIVersion: "client.authentication.k8s.io/v1beta1", Command: "aws", InteractiveMode: "IfAvailable", Args: w.args()}
	return kubeCluster{w.server, w.authority}, map[string]any{"exec": exec}, kubeContext{w.name, w.name}
}

func (w *clusterWay) print(s *Streams) error {
	text, err := mergeKubeconfig(nil, w, true)
	if err != nil {
		return err
	}
	path, err := awsConfigFile()
	if err != nil {
		return err
	}
	have, err := readIfThere(path)
	if err != nil {
		return err
	}
	if add, err := addProfile(have, w); err != nil || !bytes.Equal(add, have) {
		fmt.Fprintf(s.Err, "gatehouse: it needs this profile in %s:\n\n%s\n", path, w.profileText())
	}
	_, err = s.Out.Write(text)
	return err
}

func (w *clusterWay) write(s *Streams, file string, current, asJSON bool) error {
	config, err := kubeconfigPath(file)
	if err != nil {
		return err
	}
	aws, err := awsConfigFile()
	if err != nil {
		return err
	}
	// Both are looked at before either is written.
	profiles, err := readIfThere(aws)
	if err != nil {
		return err
	}
	withProfile, err := addProfile(profiles, w)
	if err != nil {
		return fmt.Errorf("%s: %w", aws, err)
	}
	unlock, err := lockKubeconfig(config)
	if err != nil {
		return err
	}
	defer unlock()
	have, err := readIfThere(config)
	if err != nil {
		return err
	}
	merged, err := mergeKubeconfig(have, w, current)
	if err != nil {
		return fmt.Errorf("%s: %w", config, err)
	}
	added := !bytes.Equal(withProfile, profiles)
	if added {
		if err := replaceFile(aws, withProfile); err != nil {
			return err
		}
	}
	if err := replaceFile(config, merged); err != nil {
		return err
	}
	if asJSON {
		return printJSON(s.Out, map[string]any{
			"context": w.name, "kubeconfig": config, "profile": w.profile, "profile_file": aws, "profile_added": added,
			"role": w.role, "session_name": w.session,
		})
	}
	how := "stands in"
	if added {
		how = "was added to"
	}
	fmt.Fprintf(s.Out, "context %s is in %s\nprofile %s %s %s\n", w.name, config, w.profile, how, aws)
	fmt.Fprintf(s.Err, "Try it: kubectl --context %s auth whoami\n", w.name)
	return nil
}
