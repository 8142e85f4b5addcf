package finding

var clusterPrivateEndpointOff = Rule{
	ID: "cluster-private-endpoint-off", Title: "Nodes reach the API server over its public endpoint", Severity: Medium, Area: Clusters, Of: OfCluster,
	Looks: "Whether the private endpoint is on.",
	Why:   "Without it every node talks to the control plane over the public endpoint, which therefore cannot be closed to the addresses that nodes come from.",
	Mend: Mend{
		CLI:       "aws eks update-cluster-config --region {region} --name {name} --resources-vpc-config endpointPrivateAccess=true",
		Terraform: "# in vpc_config of aws_eks_cluster {name}\nendpoint_private_access = true",
	},
	Peers: Peers{Prowler: []string{"eks_cluster_private_nodes_enabled"}, CloudSploit: []string{"EKS private endpoint"}},
	needs: []Part{PartCluster},
	check: func(s *scene) Outcome {
		if s.cluster.PrivateEndpoint {
			return passed(fact("private endpoint", "on"))
		}
		return failed(fact("private endpoint", "off"))
	},
}
