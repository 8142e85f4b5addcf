package deploy

import (
	"strings"
)

// checkPlaces refuses regions and ARNs of another partition than the stack's: roles,
// keys and functions of one partition cannot be used in another, and an ARN that is
// written with the wrong one allows nothing.
func (in *input) checkPlaces() error {
	partition := in.text("partition")
	if partition == "" {
		return nil
	}
	for _, name := range sortedKeys(in.values) {
		for _, v := range in.values[name] {
			of := ""
			switch name {
			case "region", "regions", "api-region", "sso-region":
				of = partitionOf(v)
			case externalID.Name, "environment": // any text
			default:
				if rest, ok := strings.CutPrefix(v, "arn:"); ok {
					of, _, _ = strings.Cut(rest, ":")
				}
			}
			if of == "" || of == partition {
				continue
			}
			hint := "name one of the partition " + partition
			if checkPartition(of) == nil {
				hint = "write partition=" + of + ", or " + hint
			}
			return in.fail(name, hint, "%s is of the partition %s, and the stack of %s", clip(v), of, partition)
		}
	}
	return nil
}

// partitionOf is the partition of a region by its name.
func partitionOf(region string) string {
	for _, p := range []struct{ begins, partition string }{
		{"cn-", "aws-cn"}, {"us-gov-", "aws-us-gov"}, {"us-iso-", "aws-iso"}, {"us-isob-", "aws-iso-b"}, {"eu-isoe-", "aws-iso-e"}, {"us-isof-", "aws-iso-f"}, {"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p.begins) {
			return p.partition
		}
	}
	return "aws"
}

// checkHere refuses a regional ARN, of a key or a function, of another region than the
// stack's.
func (in *input) checkHere(name string) error {
	part := strings.SplitN(in.text(name), ":", 6)
	if len(part) == 6 && part[3] != in.text("region") {
		return in.fail(name, "name one of the region "+in.text("region"), "it is of the region %s, and the stack of %s", part[3], in.text("region"))
	}
	return nil
}
