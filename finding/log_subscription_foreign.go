package finding

import "strings"

var logSubscriptionForeign = Rule{
	ID: "log-subscription-foreign", Title: "The log group's events go to another account", Severity: Medium, Area: Logging, Of: OfLogGroup,
	Looks: "The destinations of the log group's subscription filters.",
	Why:   "A subscription is a silent copy of everything that callers send. It should be one that somebody chose, to an account that is yours.",
	Mend: Mend{
		CLI:       "aws logs describe-subscription-filters --region {region} --log-group-name {name}\naws logs delete-subscription-filter --region {region} --log-group-name {name} --filter-name FILTER",
		Terraform: "# remove the aws_cloudwatch_log_subscription_filter, or accept the finding with the account's name as the reason",
	},
	needs: []Part{PartSubscriptions},
	check: func(s *scene) Outcome {
		if len(s.group.Subscriptions) == 0 {
			return skipped("the log group has no subscription")
		}
		var foreign []Evidence
		for _, arn := range s.group.Subscriptions {
			parts := strings.SplitN(arn, ":", 6)
			if len(parts) == 6 && parts[4] != "" && parts[4] != s.place.Account {
				foreign = append(foreign, fact("subscription", arn))
			}
		}
		return failed(foreign...)
	},
}
