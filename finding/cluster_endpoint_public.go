package finding

var clusterEndpointPublic = Rule{
	ID: "cluster-endpoint-public", Title: "The cluster's API server is on the internet, for a list of networks", Severity: Info, Area: Clusters, Of: OfCluster,
	Looks: "Whether the public endpoint is on with a list of networks that is not the whole internet; that is cluster-endpoint-open.",
	Why:   "A list of networks grows old: an office that moved, a provider's address that somebody else has now. A private endpoint has no such list.",
	Mend: Mend{
		CLI:       "aws eks update-cluster-config --region {region} --name {name} --resources-vpc-config endpointPublicAccess=false,endpointPrivateAccess=true",
		Terraform: "# in vpc_config of aws_eks_cluster {name}\nendpoint_private_access = true\nendpoint_public_access  = false",
	},
	Peers: Peers{
		SecurityHub: []string{"EKS.1"}, Checkov: []string{"CKV_AWS_39"}, KICS: []string{"eks_cluster_has_public_access"},
		CloudSploit: []string{"EKS exposure"},
	},
	needs: []Part{PartCluster},
	check: func(s *scene) Outcome {
		if !s.cluster.PublicEndpoint {
			return passed(fact("public endpoint", "off"))
		}
		open, err := openToAll(s.cluster.PublicCIDRs)
		switch {
		case err != nil:
			return unseen(err.Error())
		case open:
			return skipped("the whole internet reaches it, which cluster-endpoint-open tells")
		}
		return failed(fact("public endpoint", "on, for "+s.cluster.networks()))
	},
}
