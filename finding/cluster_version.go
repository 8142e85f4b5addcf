package finding

import (
	"strconv"
	"strings"
	"time"
)

// The release calendar of Kubernetes on EKS, from AWS's page "Understand the
// Kubernetes version lifecycle on EKS" as AWS's own samples quoted it on calendarRead,
// and endoflife.date says the same. What is older than the calendar has ended; what is
// newer is supported at least as long as the newest in it.
const calendarRead = "2026-04-24"

// lifecycle says until when EKS supports a version: the last days of standard and of
// extended support.
type lifecycle struct{ standard, extended string }

var kubernetesCalendar = map[int]lifecycle{ // by the minor version of 1.x
	23: {"2023-10-11", "2024-10-11"},
	24: {"2024-01-31", "2025-01-31"},
	25: {"2024-05-01", "2025-05-01"},
	26: {"2024-06-11", "2025-06-11"},
	27: {"2024-07-24", "2025-07-24"},
	28: {"2024-11-26", "2025-11-26"},
	29: {"2025-03-23", "2026-03-23"},
	30: {"2025-07-23", "2026-07-23"},
	31: {"2025-11-26", "2026-11-26"},
	32: {"2026-03-23", "2027-03-23"},
	33: {"2026-07-29", "2027-07-29"},
	34: {"2026-12-02", "2027-12-02"},
	35: {"2027-03-27", "2028-03-27"},
}

const (
	oldestInCalendar = 23
	newestInCalendar = 35
)

// support is where a version stands at a time.
type support uint8

const (
	supportStandard support = iota
	supportExtended
	supportEnded
)

// supportOf tells where a version stands, with the facts; why is set where that is not
// known.
func supportOf(version string, now time.Time) (at support, facts []Evidence, why string) {
	major, rest, ok := strings.Cut(version, ".")
	minor, err := strconv.Atoi(rest)
	if !ok || err != nil || major != "1" || minor < 0 {
		return 0, nil, "the version " + strconv.Quote(clip(version)) + " is none that EKS has"
	}
	facts = []Evidence{fact("Kubernetes", version)}
	today := now.UTC().Format(time.DateOnly)
	if minor < oldestInCalendar {
		return supportEnded, append(facts, fact("extended support", "ended before "+kubernetesCalendar[oldestInCalendar].extended)), ""
	}
	if minor > newestInCalendar {
		if last := kubernetesCalendar[newestInCalendar].standard; today <= last {
			return supportStandard, append(facts, fact("standard support", "not before "+last)), ""
		}
		return 0, nil, "Kubernetes " + version + " is newer than what is known of EKS's calendar, which was read on " + calendarRead
	}
	known := kubernetesCalendar[minor]
	facts = append(facts, fact("standard support", "until "+known.standard), fact("extended support", "until "+known.extended))
	switch {
	case today > known.extended:
		return supportEnded, facts, ""
	case today > known.standard:
		return supportExtended, facts, ""
	}
	return supportStandard, facts, ""
}

var clusterVersionEnded = Rule{
	ID: "cluster-version-ended", Title: "EKS no longer supports the cluster's Kubernetes", Severity: High, Area: Clusters, Of: OfCluster,
	Looks: "The cluster's version against EKS's calendar (read on " + calendarRead + "): extended support has ended.",
	Why:   "No more patches come, and AWS upgrades the cluster at a time of its own choosing.",
	Mend: Mend{
		CLI:       "aws eks update-cluster-version --region {region} --name {name} --kubernetes-version NEXT   # one minor version at a time; look at aws eks list-insights first",
		Terraform: "# in aws_eks_cluster {name}; one minor version at a time\nversion = \"NEXT\"",
	},
	Peers: Peers{
		SecurityHub: []string{"EKS.2"}, Prowler: []string{"eks_cluster_uses_a_supported_version"}, Checkov: []string{"CKV_AWS_339"},
		CloudSploit: []string{"EKS Kubernetes version"},
	},
	needs: []Part{PartCluster},
	check: func(s *scene) Outcome {
		at, facts, why := supportOf(s.cluster.Version, s.now)
		switch {
		case why != "":
			return unseen(why)
		case at == supportEnded:
			return failed(facts...)
		}
		return passed(facts...)
	},
}

var clusterVersionExtended = Rule{
	ID: "cluster-version-extended", Title: "The cluster's Kubernetes is in extended support", Severity: Low, Area: Clusters, Of: OfCluster,
	Looks: "The cluster's version against EKS's calendar (read on " + calendarRead + "): standard support has ended and extended support has not.",
	Why:   "Extended support costs several times as much an hour and lasts a year; a cluster that may not have it is upgraded by AWS at the end of standard support.",
	Mend: Mend{
		CLI:       "aws eks update-cluster-version --region {region} --name {name} --kubernetes-version NEXT   # one minor version at a time; look at aws eks list-insights first",
		Terraform: "# in aws_eks_cluster {name}; one minor version at a time\nversion = \"NEXT\"",
	},
	Peers: Peers{SecurityHub: []string{"EKS.2"}, Checkov: []string{"CKV_AWS_339"}, CloudSploit: []string{"EKS Kubernetes version"}},
	needs: []Part{PartCluster},
	check: func(s *scene) Outcome {
		at, facts, why := supportOf(s.cluster.Version, s.now)
		if s.cluster.Support != "" {
			facts = append(facts, fact("upgrade policy", s.cluster.Support))
		}
		switch {
		case why != "":
			return unseen(why)
		case at == supportEnded:
			return skipped("extended support has ended, which cluster-version-ended tells")
		case at == supportExtended:
			return failed(facts...)
		}
		return passed(facts...)
	},
}
