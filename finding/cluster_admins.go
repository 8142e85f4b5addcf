package finding

var clusterAdmins = Rule{
	ID: "cluster-admins", Title: "Principals administer the whole cluster all the time", Severity: Medium, Area: Clusters, Of: OfCluster,
	Looks: "Access entries with AmazonEKSClusterAdminPolicy on the whole cluster, unless a tag of the entry says that it is for emergencies (break-glass), or Gatehouse lent it. What the cluster binds to an entry's groups is not seen.",
	Why:   "A cluster administrator reads every secret and becomes every workload. Access that is lent when it is needed is not there to be stolen at other times.",
	Mend: Mend{
		CLI:       "aws eks disassociate-access-policy --region {region} --cluster-name {name} --principal-arn PRINCIPAL --policy-arn arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy\n# or, where it is for emergencies:\naws eks tag-resource --region {region} --resource-arn ACCESS_ENTRY_ARN --tags purpose=break-glass",
		Terraform: "# remove the aws_eks_access_policy_association, give it an access_scope of type namespace,\n# or say in aws_eks_access_entry that it is for emergencies\ntags = {\n  purpose = \"break-glass\"\n}",
	},
	Peers: Peers{CloudSploit: []string{"EKS privilege analysis"}},
	needs: []Part{PartCluster, PartAccessEntries},
	check: func(s *scene) Outcome {
		if o, no := s.withoutEntries(); no {
			return o
		}
		var admins []Evidence
		for i := range s.cluster.AccessEntries {
			e := &s.cluster.AccessEntries[i]
			if by := e.admin(); by != "" && e.documented() == "" {
				admins = append(admins, fact(e.Principal, by))
			}
		}
		return failed(admins...)
	},
}

var clusterAdminsDocumented = Rule{
	ID: "cluster-admins-documented", Title: "Principals administer the whole cluster, for a reason that is given", Severity: Info, Area: Clusters, Of: OfCluster,
	Looks: "Access entries with AmazonEKSClusterAdminPolicy on the whole cluster that are tagged for emergencies (break-glass), or that Gatehouse lent.",
	Why:   "A way in for emergencies is wanted, and worth a look now and then: whether it is still needed, and who used it.",
	Mend: Mend{
		CLI:       "aws eks list-associated-access-policies --region {region} --cluster-name {name} --principal-arn PRINCIPAL\n# nothing to mend while the reason holds: accept the finding until the next review",
		Terraform: "# nothing to mend while the reason holds: accept the finding until the next review",
	},
	needs: []Part{PartCluster, PartAccessEntries},
	check: func(s *scene) Outcome {
		if o, no := s.withoutEntries(); no {
			return o
		}
		var admins []Evidence
		for i := range s.cluster.AccessEntries {
			e := &s.cluster.AccessEntries[i]
			if why := e.documented(); e.admin() != "" && why != "" {
				admins = append(admins, fact(e.Principal, e.admin()+", "+why))
			}
		}
		return failed(admins...)
	},
}

// withoutEntries tells that the cluster knows no access entries.
func (s *scene) withoutEntries() (Outcome, bool) {
	if s.cluster.AuthenticationMode == configMapAlone {
		return skipped("the cluster knows no access entries, which cluster-config-map tells"), true
	}
	return Outcome{}, false
}
