//go:build integration

package iam_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/iam"
)

// oracleCases is how many random cases TestIntegrationOracle asks; the variable
// ORACLE_CASES asks for another number, ORACLE_SEED for other cases.
const oracleCases = 100_000

// TestIntegrationOracle compares decisions with an evaluator that was written by
// others, @cloud-copilot/iam-simulate, over every operator and layer. Where it is
// known to depart from what AWS documents, the generator keeps away; the comments
// there name each departure.
func TestIntegrationOracle(t *testing.T) {
	t.Parallel()
	dir := oracleDir(t)
	n := number(t, "ORACLE_CASES", oracleCases)
	g := &generator{rand: rand.New(rand.NewPCG(uint64(number(t, "ORACLE_SEED", 20261122)), 7))}
	var input bytes.Buffer
	cases := make([][]byte, n)
	for i := range cases {
		text, err := json.Marshal(g.policyCase())
		if err != nil {
			t.Fatal(err)
		}
		cases[i] = text
		input.Write(text)
		input.WriteByte('\n')
	}
	cmd := exec.CommandContext(t.Context(), "node", "testdata/oracle.mjs", dir)
	cmd.Stdin = &input
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running the oracle: %v", err)
	}
	answers := bufio.NewScanner(bytes.NewReader(out))
	answers.Buffer(nil, 1<<20)
	var reader iam.Cases
	var result iam.Result
	counts := map[string]int{}
	var different []string
	for i, text := range cases {
		if !answers.Scan() {
			t.Fatalf("the oracle answered %d of %d cases", i, n)
		}
		want := answers.Text()
		c, err := reader.Parse(text, i+1)
		if err != nil {
			t.Fatalf("case %d: %v\n%s", i, err, text)
		}
		c.Evaluate(&result)
		counts[want]++
		if got := result.Decision.String(); got != want {
			different = append(different, fmt.Sprintf("case %d: decided %s, the oracle says %s\n%s\nreasons %+v", i, got, want, text, result.Reasons))
		}
	}
	if len(different) > 0 {
		// The shortest are the easiest to understand.
		slices.SortFunc(different, func(a, b string) int { return len(a) - len(b) })
		t.Errorf("%d of %d cases differ, among them\n%s", len(different), n, strings.Join(different[:min(len(different), 10)], "\n\n"))
	}
	// A generator that only ever makes denials would prove little.
	for _, d := range []string{"allow", "implicit_deny", "explicit_deny"} {
		if counts[d] < n/20 {
			t.Errorf("only %d of %d cases are %s", counts[d], n, d)
		}
	}
	t.Logf("%d cases: %v", n, counts)
}

func number(t *testing.T, name string, def int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// oracleDir is the folder that the npm package is installed in.
func oracleDir(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("GATEHOUSE_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(home, ".cache", "gatehouse")
	}
	dir := filepath.Join(cache, "iam-simulate")
	missing := ""
	if _, err := exec.LookPath("node"); err != nil {
		missing = "node is not installed"
	} else if _, err := os.Stat(filepath.Join(dir, "node_modules", "@cloud-copilot", "iam-simulate")); err != nil {
		missing = "npm install --prefix " + dir + " @cloud-copilot/iam-simulate was not run"
	}
	if missing != "" {
		if os.Getenv("GATEHOUSE_REQUIRE_COMPONENTS") == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return dir
}
