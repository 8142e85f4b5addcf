package inventory

import "testing"

func TestClassify(t *testing.T) {
	t.Parallel()
	for want, segments := range map[form][]string{
		formValue: {
			"1", "42", "-7", "3.14", "2026", "2026-01-31", "20260131", "+15551234567", "192.168.0.1", "48.85,2.35",
			"550e8400-e29b-41d4-a716-446655440000", "{550e8400-e29b-41d4-a716-446655440000}", "550e8400e29b41d4a716446655440000",
			"507f1f77bcf86cd799439011", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "0x52908400098527886E0F7030069857D2E4169EE7",
			"01ARZ3NDEKTSV4RRFFQ69G5FAV", "0ujtsYcgvSTl8PAuAdqWYSMnLOv", "ckopqwooh000001la8mbi2im9", "V1StGXR8_Z5jdHi6B-myT",
			"cus_9s6XKzkNRiz8i3", "pi_3MtwBwLkdIwHu7ix28a3tqPa", "order-12345", "user_01h2xcejqtf2nbrexx3vqjhp41", "AB12345",
			"ann@example.com", "ann%40example.com", "2026-01-31T10:00:00Z", "20260131T100000Z", "12,15,19", "a1b2c3d4e5.jpg", "42.json",
			"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "dGhpcyBpcyBhIHRlc3Q0Mg", "QmFzZTY0RW5jb2RlZFZhbHVlMTIz",
			"arn:aws:iam::123456789012:role", "{id}", "550E8400-E29B-41D4-A716-446655440000",
			"a-very-long-slug-that-goes-on-and-on-and-on-until-it-is-no-name-of-anything-at-all",
		},
		formFixed: {"me", "search", "count", "$count", "v1", "v1.2", "V2", "v2beta1", "v1alpha", "v20180820", "latest", "login", "api"},
		formName:  {"pets", "alice", "orders", "en", "html", "x", "BOOKS"},
		formCompound: {
			"list-users", "getUser", "my_report", "swagger.yaml", "ListBuckets", "books:archive", "virtualMachineScaleSets",
			"microsoft.insights", "applicationSecurityGroups", "private-endpoint-connections", "AuthorizeCacheSecurityGroupIngress",
		},
		formMixed: {"rg1", "sha256", "s3", "item-1", "ec2", "o'neill", "John%20Doe", "caf%C3%A9", "k8s", "oauth2-proxy", "bad%zz", "iso-8859"},
	} {
		for _, s := range segments {
			if got := classify(s, 2); got != want {
				t.Errorf("classify(%q) = %d; want %d", s, got, want)
			}
		}
	}
	for _, c := range []struct {
		segment string
		depth   int
		want    form
	}{
		{"2010-04-01", 0, formFixed},
		{"2010-04-01", 1, formValue},
		{"1.0", 0, formFixed},
		{"2.0", 1, formFixed},
		{"2.0", 2, formValue},
		{"10.0.0.1", 0, formValue},
		{"v2", 0, formFixed},
		{"42", 0, formValue},
	} {
		if got := classify(c.segment, c.depth); got != c.want {
			t.Errorf("classify(%q) as segment %d = %d; want %d", c.segment, c.depth, got, c.want)
		}
	}
}

func TestParameterName(t *testing.T) {
	t.Parallel()
	for parent, want := range map[string]string{
		"pets": "petId", "order-items": "orderItemId", "Users": "userId", "categories": "categoryId", "addresses": "addressId",
		"status": "statusId", "boxes": "boxId", "people": "personId", "my_reports": "myReportId", "news": "newsId",
		"me": "id", "": "id", "v1": "id", "api": "id", "rg1": "id", "übung": "id", "classes": "classId", "houses": "houseId",
	} {
		if got := parameterName(parent); got != want {
			t.Errorf("parameterName(%q) = %q; want %q", parent, got, want)
		}
	}
}

func FuzzClassify(f *testing.F) {
	for _, s := range []string{"", "%", "%4", "{}", "a,b", "..", "v", "\x00", "1.2.3", "T", "-", "@.", "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if classify(s, 0) == formValue && classify(s, 2) != formValue {
			t.Errorf("%q is a value only at the beginning of a path", s)
		}
		if name := parameterName(s); name == "" {
			t.Errorf("parameterName(%q) is empty", s)
		}
	})
}
