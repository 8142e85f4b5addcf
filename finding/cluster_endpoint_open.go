package finding

var clusterEndpointOpen = Rule{
	ID: "cluster-endpoint-open", Title: "The whole internet reaches the cluster's API server", Severity: High, Area: Clusters, Of: OfCluster,
	Looks: "Whether the public endpoint is on, and whether the networks that may use it take in addresses from all over the internet. A narrow list is cluster-endpoint-public.",
	Why:   "Everybody can try stolen tokens on it, and whatever hole is found next in the API server is open to everybody on the day it is known.",
	Mend: Mend{
		CLI:       "aws eks update-cluster-config --region {region} --name {name} --resources-vpc-config endpointPublicAccess=true,publicAccessCidrs=CIDR,endpointPrivateAccess=true",
		Terraform: "# in vpc_config of aws_eks_cluster {name}\nendpoint_private_access = true\nendpoint_public_access  = true # or false\npublic_access_cidrs     = [\"CIDR\"]",
	},
	Peers: Peers{
		SecurityHub: []string{"EKS.1"}, Prowler: []string{"eks_cluster_not_publicly_accessible"}, Checkov: []string{"CKV_AWS_38"},
		KICS: []string{"eks_cluster_has_public_access_cidrs"},
	},
	needs: []Part{PartCluster},
	check: func(s *scene) Outcome {
		if !s.cluster.PublicEndpoint {
			return passed(fact("public endpoint", "off"))
		}
		open, err := openToAll(s.cluster.PublicCIDRs)
		networks := fact("public endpoint", "on, for "+s.cluster.networks())
		switch {
		case err != nil:
			return unseen(err.Error())
		case open:
			return failed(networks)
		}
		return passed(networks)
	},
}
