package finding

var clusterSecretsKeyMissing = Rule{
	ID: "cluster-secrets-key-missing", Title: "The cluster's secrets have no key of their own", Severity: Low, Area: Clusters, Of: OfCluster,
	Looks: "Whether a KMS key of yours encrypts the cluster's secrets in etcd. Without one EKS uses a key of AWS's own.",
	Why:   "Who may use a key of yours stands in its policy, every use of it is in CloudTrail, and it can be taken away. AWS's own key has none of that.",
	Mend: Mend{
		CLI:       "aws eks associate-encryption-config --region {region} --cluster-name {name} --encryption-config '[{\"resources\":[\"secrets\"],\"provider\":{\"keyArn\":\"KEY_ARN\"}}]'   # this cannot be undone",
		Terraform: "# in aws_eks_cluster {name}; this cannot be undone\nencryption_config {\n  resources = [\"secrets\"]\n  provider {\n    key_arn = aws_kms_key.eks.arn\n  }\n}",
	},
	Peers: Peers{
		SecurityHub: []string{"EKS.3"}, Prowler: []string{"eks_cluster_kms_cmk_encryption_in_secrets_enabled"}, Checkov: []string{"CKV_AWS_58"},
		KICS: []string{"eks_cluster_encryption_disabled"}, CloudSploit: []string{"EKS secrets encrypted"},
	},
	needs: []Part{PartCluster},
	check: func(s *scene) Outcome {
		if s.cluster.SecretsKey != "" {
			return passed(fact("key", s.cluster.SecretsKey))
		}
		return failed(fact("key", "AWS's own"))
	},
}
