package demo

import "github.com/gatehouse-project/gatehouse/identity"

// People are those whom one can play in the demo, each with a role of their own.
func People() []identity.Person {
	return []identity.Person{
		{
			ID: "demo-rosa", Email: "Rosa.Diaz@example.com", Name: "Rosa Diaz", Role: identity.Requester,
			Groups: []string{"storefront"}, Manager: "amir.khan@example.com", Attributes: map[string][]string{"team": {"storefront"}},
		},
		{
			ID: "demo-nadia", Email: "nadia.costa@example.com", Name: "Nadia Costa", Role: identity.Requester,
			Groups: []string{"storefront"}, Manager: "amir.khan@example.com", Attributes: map[string][]string{"team": {"storefront"}},
		},
		{
			ID: "demo-amir", Email: "amir.khan@example.com", Name: "Amir Khan", Role: identity.Approver,
			Groups: []string{"orders", "orders-owners"}, Manager: "sofia.lind@example.com", Attributes: map[string][]string{"team": {"orders"}},
		},
		{
			ID: "demo-sofia", Email: "sofia.lind@example.com", Name: "Sofia Lind", Role: identity.Admin,
			Groups: []string{"platform-security"}, Attributes: map[string][]string{"team": {"platform-security"}},
		},
	}
}
