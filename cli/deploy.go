package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/deploy"
)

const deployLong = `Write Terraform or CloudFormation text for the roles, policies, functions and
settings that Gatehouse and the APIs that it watches need, and the collector as
manifests for Kubernetes. Nothing is changed: the text is there to be read, kept
and applied.

Every policy names what it allows; a * stands only where no name can be known,
and a comment says why. 'deploy describe STACK' lists a stack's parameters.`

func newDeploy(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Write Terraform, CloudFormation or Kubernetes text for roles, collectors and protected APIs",
		Long:  deployLong,
		Example: `  gatehouse deploy list
  gatehouse deploy describe collector-spoke
  gatehouse deploy terraform collector-spoke --out spoke --param account=222233334444 \
    --param hub-role=arn:aws:iam::111122223333:role/GatehouseHub --param external-id=5f0c2c1e-example`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newDeployList(s), newDeployDescribe(s),
		newDeployWrite(s, deploy.Terraform, "Write a stack as a folder of Terraform"),
		newDeployWrite(s, deploy.CloudFormation, "Write a stack as a CloudFormation template"),
		newDeployKubernetes(s),
	)
	return cmd
}

func newDeployList(s *Streams) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the stacks", Args: noArgs}
	output := addOutput(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		stacks := deploy.Stacks()
		if asJSON {
			return printJSON(s.Out, stacks)
		}
		var rows [][]string
		for _, stack := range stacks {
			rows = append(rows, []string{stack.Name, stack.Summary})
		}
		return printTable(s.Out, []string{"STACK", "IS"}, rows)
	}
	return cmd
}

func newDeployDescribe(s *Streams) *cobra.Command {
	cmd := &cobra.Command{Use: "describe STACK", Short: "Show what a stack is for, and its parameters", Args: oneStack}
	output := addOutput(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		stack, err := deploy.Find(args[0])
		if err != nil {
			return &UsageError{Err: err}
		}
		if asJSON {
			return printJSON(s.Out, stack)
		}
		fmt.Fprintf(s.Out, "%s: %s.\n%s\n\n", stack.Name, stack.Summary, stack.About)
		var rows [][]string
		for i := range stack.Parameters {
			p := &stack.Parameters[i]
			need, summary := orDash(p.Default), p.Summary
			if p.Required {
				need = "required"
			}
			if p.List {
				summary += "; may be repeated"
			}
			rows = append(rows, []string{p.Name, need, p.Example, summary})
		}
		return printTable(s.Out, []string{"PARAMETER", "DEFAULT", "EXAMPLE", "IS"}, rows)
	}
	return cmd
}

func oneStack(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return withHint(usagef("%d stacks are named, not one", len(args)), "'gatehouse deploy list' lists them; see '"+cmd.CommandPath()+" --help'")
}

func newDeployWrite(s *Streams, language deploy.Language, short string) *cobra.Command {
	var flags deployFlags
	cmd := &cobra.Command{
		Use:   string(language) + " STACK --out DIR",
		Short: short,
		Long: short + `, with a README. Parameters come from --param, or from a
YAML file of them; where both name one, --param counts. Files that are there
with other text are left as they are, unless --force is given. With --out - the
stack is written to standard output as one text, without its README.`,
		Example: "  gatehouse deploy " + string(language) + " api-client --out client --param account=444455556666 --param api-account=222233334444 \\\n" +
			"    --param api-region=eu-west-1 --param api=a1b2c3d4e5 --param stages=prod --param methods=GET --param paths=/orders/{id}",
		Args: oneStack,
	}
	flags.add(cmd, ", and a list may be written with commas")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		stack, err := deploy.Find(args[0])
		if err != nil {
			return &UsageError{Err: err}
		}
		return flags.write(s, stack, language)
	}
	return cmd
}
