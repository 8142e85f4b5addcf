package account

import (
	"fmt"
	"strings"
)

// partition is what differs between AWS's separate worlds. A role of one can
// never be assumed from another.
type partition struct {
	id        string
	prefix    string // of region names; empty for the commercial partition
	dnsSuffix string
	home      string // the region whose STS endpoint is always enabled
	// enabled are the regions that are on in every account, for accounts whose
	// own list cannot be read.
	enabled []string
}

// The commercial partition is last: it takes every region that no prefix
// claims.
var partitions = []partition{
	{
		id: "aws-cn", prefix: "cn-", dnsSuffix: "amazonaws.com.cn", home: "cn-north-1",
		enabled: []string{"cn-north-1", "cn-northwest-1"},
	},
	{
		id: "aws-us-gov", prefix: "us-gov-", dnsSuffix: "amazonaws.com", home: "us-gov-west-1",
		enabled: []string{"us-gov-east-1", "us-gov-west-1"},
	},
	{
		id: "aws-eusc", prefix: "eusc-", dnsSuffix: "amazonaws.eu", home: "eusc-de-east-1",
		enabled: []string{"eusc-de-east-1"},
	},
	{
		id: "aws", dnsSuffix: "amazonaws.com", home: "us-east-1",
		enabled: []string{
			"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
			"ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3",
			"sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
		},
	},
}

func partitionOfRegion(region string) *partition {
	for i := range partitions {
		if strings.HasPrefix(region, partitions[i].prefix) {
			return &partitions[i]
		}
	}
	return &partitions[len(partitions)-1]
}

func partitionByID(id string) (*partition, bool) {
	for i := range partitions {
		if partitions[i].id == id {
			return &partitions[i], true
		}
	}
	return nil, false
}

// PartitionOf returns the partition that a region belongs to: "aws", "aws-cn",
// "aws-us-gov" or "aws-eusc".
func PartitionOf(region string) string { return partitionOfRegion(region).id }

// DNSSuffix returns the domain under which a region's services answer, for
// example "amazonaws.com".
func DNSSuffix(region string) string { return partitionOfRegion(region).dnsSuffix }

// roleARN is the parsed ARN of an IAM role.
type roleARN struct {
	partition string
	account   string
	name      string // with its path
}

func parseRoleARN(s string) (roleARN, error) {
	fields := strings.SplitN(s, ":", 6)
	if len(fields) != 6 || fields[0] != "arn" || fields[2] != "iam" || fields[3] != "" {
		return roleARN{}, fmt.Errorf("%q is not the ARN of an IAM role", s)
	}
	name, ok := strings.CutPrefix(fields[5], "role/")
	if !ok || name == "" || strings.HasSuffix(name, "/") || strings.ContainsAny(name, ": *\t\n") {
		return roleARN{}, fmt.Errorf("%q is not the ARN of an IAM role", s)
	}
	if !isAccountID(fields[4]) {
		return roleARN{}, fmt.Errorf("%q has no account id of 12 digits", s)
	}
	if _, ok := partitionByID(fields[1]); !ok {
		return roleARN{}, fmt.Errorf("%q is of the unknown partition %q", s, fields[1])
	}
	return roleARN{partition: fields[1], account: fields[4], name: name}, nil
}

func isAccountID(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// roleOfSession turns the ARN of an assumed-role session, as STS's messages
// name it, into the ARN of its role. A role's path is not part of a session's
// ARN, so a role with a path comes out without it. Other ARNs are returned as
// they are.
func roleOfSession(arn string) string {
	fields := strings.SplitN(arn, ":", 6)
	if len(fields) != 6 || fields[2] != "sts" {
		return arn
	}
	rest, ok := strings.CutPrefix(fields[5], "assumed-role/")
	if !ok {
		return arn
	}
	name, _, _ := strings.Cut(rest, "/")
	return "arn:" + fields[1] + ":iam::" + fields[4] + ":role/" + name
}
