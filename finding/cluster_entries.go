package finding

import (
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

const dropEntry = "aws eks delete-access-entry --region {region} --cluster-name {name} --principal-arn PRINCIPAL"

var clusterEntryWide = Rule{
	ID: "cluster-entry-wide", Title: "An access entry names more than one role or user", Severity: High, Area: Clusters, Of: OfCluster,
	Looks: "Access entries whose principal is an account's root, a pattern, or nothing that names one role or user.",
	Why:   "Who comes in by such an entry cannot be told from it, and the cluster's audit log shows one name for all of them.",
	Mend: Mend{
		CLI:       dropEntry + "\naws eks create-access-entry --region {region} --cluster-name {name} --principal-arn ROLE_ARN",
		Terraform: "# in aws_eks_access_entry\nprincipal_arn = aws_iam_role.this.arn",
	},
	needs: []Part{PartCluster, PartAccessEntries},
	check: func(s *scene) Outcome {
		if o, no := s.withoutEntries(); no {
			return o
		}
		var wide []Evidence
		for i := range s.cluster.AccessEntries {
			arn := s.cluster.AccessEntries[i].Principal
			who, err := iam.ParsePrincipal(arn)
			switch {
			case err == nil && (who.Kind == iam.PrincipalRole || who.Kind == iam.PrincipalUser):
			case err == nil && who.Kind == iam.PrincipalRoot:
				wide = append(wide, fact(arn, "a whole account"))
			case strings.ContainsAny(arn, "*?"):
				wide = append(wide, fact(arn, "a pattern"))
			default:
				wide = append(wide, fact(arn, "neither a role nor a user"))
			}
		}
		return failed(wide...)
	},
}

var clusterEntryForeign = Rule{
	ID: "cluster-entry-foreign", Title: "An access entry lets an account in that is not of the estate", Severity: Medium, Area: Clusters, Of: OfCluster,
	Looks: "Access entries whose principal is of another account than the cluster, and of none that discovery knows.",
	Why:   "Who may become that role is decided by people whom you cannot ask, and nothing here shows when they decide otherwise.",
	Mend: Mend{
		CLI:       dropEntry,
		Terraform: "# remove the aws_eks_access_entry, or accept the finding with the account's name as the reason",
	},
	needs: []Part{PartCluster, PartAccessEntries},
	check: func(s *scene) Outcome {
		if o, no := s.withoutEntries(); no {
			return o
		}
		var foreign []Evidence
		for i := range s.cluster.AccessEntries {
			arn := s.cluster.AccessEntries[i].Principal
			if who, err := iam.ParsePrincipal(arn); err == nil && who.Account != "" && !s.census.accounts[who.Account] {
				foreign = append(foreign, fact(arn, "account "+who.Account+" is not of the estate"))
			}
		}
		return failed(foreign...)
	},
}

var clusterEntryGone = Rule{
	ID: "cluster-entry-gone", Title: "An access entry is of a role or user that is gone", Severity: Low, Area: Clusters, Of: OfCluster,
	Looks: "Access entries against the roles and users that IAM lists in their accounts; needs estate_principals.",
	Why:   "EKS does not delete the entry with its principal. It lets nobody in, not even a role that is made again under that name, and hides who was meant to have access.",
	Mend: Mend{
		CLI:       dropEntry,
		Terraform: "# remove the aws_eks_access_entry",
	},
	needs: []Part{PartCluster, PartAccessEntries},
	check: func(s *scene) Outcome {
		if o, no := s.withoutEntries(); no {
			return o
		}
		var gone []Evidence
		unread := ""
		for i := range s.cluster.AccessEntries {
			arn := s.cluster.AccessEntries[i].Principal
			who, err := iam.ParsePrincipal(arn)
			if err != nil || who.Kind != iam.PrincipalRole && who.Kind != iam.PrincipalUser || !s.census.accounts[who.Account] {
				continue // cluster-entry-wide and cluster-entry-foreign tell those
			}
			names, read := s.census.principals[who.Account]
			switch {
			case !read:
				unread = who.Account
			case !names[principalName(who.Kind, who.Name)]:
				gone = append(gone, fact(arn, "there is no such "+kindOf(who.Kind)))
			}
		}
		if unread != "" && len(gone) == 0 {
			return unseen("the roles and users of account " + unread + " were not read; estate_principals has them read")
		}
		return failed(gone...)
	},
}
