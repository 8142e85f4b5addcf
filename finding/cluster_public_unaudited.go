package finding

var clusterPublicUnaudited = Rule{
	ID: "cluster-public-unaudited", Title: "The cluster is on the internet and nobody writes down who did what", Severity: High, Area: Clusters, Of: OfCluster,
	Looks: "Clusters whose public endpoint is on: whether the audit log of the control plane is on.",
	Why:   "Each of the two can be lived with. Together they mean that somebody comes in from outside and no line says that he was there.",
	Mend: Mend{
		CLI:       "aws eks update-cluster-config --region {region} --name {name} --logging '{\"clusterLogging\":[{\"types\":[\"audit\",\"authenticator\"],\"enabled\":true}]}'",
		Terraform: "# in aws_eks_cluster {name}\nenabled_cluster_log_types = [\"api\", \"audit\", \"authenticator\", \"controllerManager\", \"scheduler\"]",
	},
	Peers: Peers{SecurityHub: []string{"EKS.1", "EKS.8"}},
	needs: []Part{PartCluster},
	check: func(s *scene) Outcome {
		switch {
		case !s.cluster.PublicEndpoint:
			return skipped("the cluster has no public endpoint")
		case s.cluster.logs("audit"):
			return passed(fact("audit log", "on"))
		}
		return failed(fact("public endpoint", "on, for "+s.cluster.networks()), fact("audit log", "off"))
	},
}
