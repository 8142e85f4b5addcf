package finding

import "strings"

// controlPlaneLogs are the types of log that a control plane can write.
var controlPlaneLogs = []string{"api", "audit", "authenticator", "controllerManager", "scheduler"}

var clusterLogsOff = Rule{
	ID: "cluster-logs-off", Title: "Not all logs of the control plane are written", Severity: Medium, Area: Clusters, Of: OfCluster,
	Looks: "The five types of control-plane log: api, audit, authenticator, controllerManager and scheduler.",
	Why:   "The audit log says who did what in the cluster, and the authenticator's which IAM principal that was. What is not written when it happens cannot be read afterwards.",
	Mend: Mend{
		CLI:       "aws eks update-cluster-config --region {region} --name {name} --logging '{\"clusterLogging\":[{\"types\":[\"api\",\"audit\",\"authenticator\",\"controllerManager\",\"scheduler\"],\"enabled\":true}]}'",
		Terraform: "# in aws_eks_cluster {name}\nenabled_cluster_log_types = [\"api\", \"audit\", \"authenticator\", \"controllerManager\", \"scheduler\"]",
	},
	Peers: Peers{
		SecurityHub: []string{"EKS.8"}, Prowler: []string{"eks_control_plane_logging_all_types_enabled"}, Checkov: []string{"CKV_AWS_37"},
		KICS: []string{"eks_cluster_log_disabled"}, CloudSploit: []string{"EKS logging enabled"},
	},
	needs: []Part{PartCluster},
	check: func(s *scene) Outcome {
		var off []string
		for _, kind := range controlPlaneLogs {
			if !s.cluster.logs(kind) {
				off = append(off, kind)
			}
		}
		if len(off) == 0 {
			return passed(fact("control-plane logs", "all five types are on"))
		}
		return failed(fact("types that are off", strings.Join(off, ", ")))
	},
}
