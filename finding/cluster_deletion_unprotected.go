package finding

var clusterDeletionUnprotected = Rule{
	ID: "cluster-deletion-unprotected", Title: "One call deletes the cluster", Severity: Low, Area: Clusters, Of: OfCluster,
	Looks: "Whether deletion protection is on.",
	Why:   "A mistaken plan or a stolen session that may delete the cluster then needs one call, and the cluster does not come back.",
	Mend: Mend{
		CLI:       "aws eks update-cluster-config --region {region} --name {name} --deletion-protection",
		Terraform: "# in aws_eks_cluster {name}\ndeletion_protection = true",
	},
	Peers: Peers{Prowler: []string{"eks_cluster_deletion_protection_enabled"}},
	needs: []Part{PartCluster},
	check: func(s *scene) Outcome {
		if s.cluster.DeletionProtection {
			return passed(fact("deletion protection", "on"))
		}
		return failed(fact("deletion protection", "off"))
	},
}
