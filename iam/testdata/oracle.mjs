// Answers policy cases by @cloud-copilot/iam-simulate: NDJSON in, one line out
// for each. It is run as a process of its own by the integration tests; the
// first argument is the folder that the package is installed in.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const require = createRequire(process.argv[2] + '/package.json')
const { runSimulation, anonymousPrincipal } = require('@cloud-copilot/iam-simulate')

const named = (policies) => (policies ?? []).map((policy, i) => ({ name: 'p' + i, policy }))
const levels = (all) => (all ?? []).map((policies, i) => ({ orgIdentifier: 'level' + i, policies: named(policies) }))
const decisions = { Allowed: 'allow', ImplicitlyDenied: 'implicit_deny', ExplicitlyDenied: 'explicit_deny' }

for await (const line of createInterface({ input: process.stdin })) {
  const c = JSON.parse(line)
  const r = c.request
  const answer = await runSimulation(
    {
      request: {
        principal: r.principal === 'anonymous' ? anonymousPrincipal : r.principal,
        action: r.action,
        resource: { resource: r.resource, accountId: r.resource_account },
        contextVariables: r.context
      },
      identityPolicies: named(c.identity_policies),
      resourcePolicy: c.resource_policy ?? undefined,
      permissionBoundaryPolicies: c.permissions_boundary ? named([c.permissions_boundary]) : undefined,
      sessionPolicy: c.session_policies?.[0],
      serviceControlPolicies: levels(c.scps),
      resourceControlPolicies: levels(c.rcps),
      vpcEndpointPolicies: c.vpc_endpoint_policy ? named([c.vpc_endpoint_policy]) : undefined
    },
    {}
  )
  process.stdout.write((answer.resultType === 'error' ? 'error ' + JSON.stringify(answer.errors) : decisions[answer.overallResult]) + '\n')
}
