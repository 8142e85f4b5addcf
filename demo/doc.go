// Package demo plays an organization of four accounts on a simulated AWS: its
// APIs, its roles, and clients that keep calling.
//
// One definition, apis, makes both what API Gateway's control plane tells of the
// APIs and the gateway that serves them, so the two cannot differ. Clients take
// sessions from the simulated STS, sign, and call the gateway of package gateway
// over connections in memory, each from an address of its own. The gateway calls
// the backends behind it and writes API Gateway's logs with PutLogEvents. From
// there on everything is the product's own way.
package demo
