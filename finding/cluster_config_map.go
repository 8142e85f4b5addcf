package finding

const configMapAlone = "CONFIG_MAP"

var clusterConfigMap = Rule{
	ID: "cluster-config-map", Title: "Who may enter the cluster stands in a ConfigMap alone", Severity: Medium, Area: Clusters, Of: OfCluster,
	Looks: "The authentication mode: CONFIG_MAP knows the ConfigMap aws-auth and no access entries.",
	Why:   "IAM does not see who is in aws-auth, CloudTrail does not see who changes it, and one mistake in it locks everybody out. Access entries have none of these faults.",
	Mend: Mend{
		CLI:       "aws eks update-cluster-config --region {region} --name {name} --access-config authenticationMode=API_AND_CONFIG_MAP   # there is no way back; make access entries of aws-auth, then go on to API",
		Terraform: "# in aws_eks_cluster {name}; there is no way back\naccess_config {\n  authentication_mode = \"API_AND_CONFIG_MAP\"\n}",
	},
	needs: []Part{PartCluster},
	check: func(s *scene) Outcome {
		mode := fact("authentication mode", s.cluster.AuthenticationMode)
		switch s.cluster.AuthenticationMode {
		case "":
			return unseen("EKS told no authentication mode")
		case configMapAlone:
			return failed(mode)
		}
		return passed(mode)
	},
}
