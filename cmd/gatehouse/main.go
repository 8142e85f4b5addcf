// Command gatehouse watches, checks and lends access to Amazon API Gateway APIs.
package main

import (
	"os"

	"github.com/gatehouse-project/gatehouse/app"
)

func main() {
	os.Exit(app.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
