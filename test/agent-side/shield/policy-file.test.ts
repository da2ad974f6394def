import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ConfigError } from '../../../lib/config/config-error.ts'
import type { Scope } from '../../../lib/identity/scope.ts'
import { policyFileProblems, readPolicyFile } from '../../../agent-side/shield/policy-file.ts'
import { GuestPolicy, usualRules } from '../../../agent-side/shield/policy.ts'
import { instanceId, networkId, projectId, routerId } from '../../conformance/topology.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const subject = (number: number) => ({
  instanceId: instanceId(number),
  networkId: networkId(number),
  projectId: projectId(number),
})
const network: Scope = { kind: 'network', networkId: networkId(1) }
const router: Scope = { kind: 'router', routerId: routerId(1) }

function fileWith(t: Test, text: string): string {
  const file = join(scratchFolder(t), 'shield.yaml')
  writeFileSync(file, text)
  return file
}

t.test('without a file everything but low_port is observed, and nothing refused', async (t) => {
  const policy = new GuestPolicy(usualRules, subject(1), network)
  t.strictSame(policy.action('token', 'user_data'), { value: 'observe', rule: 'built in' })
  t.strictSame(policy.action('low_port', 'user_data'), { value: 'off', rule: 'built in' })
  t.strictSame(policy.hopLimit, { value: 1, rule: 'built in' })
  t.strictSame(policy.seal, { value: 'never', rule: 'built in' })
})

t.test('of several rules the most particular one decides, each thing by itself', async (t) => {
  const rules = readPolicyFile(
    fileWith(
      t,
      `
default: { token: enforce, hop_limit: 3 }
rules:
  - project: ${projectId(1)}
    token: observe
    host: enforce
    seal: fetch
    seal_after: 10m
  - router: ${routerId(1)}
    forwarded: { user_data: enforce }
  - network: ${networkId(1)}
    token: { user_data: enforce }
    hop_limit: 2
  - instance: ${instanceId(1)}
    token: { identity: off }
    seal: never
host_names: [Metadata.Example]
`,
    ),
    true,
  )
  const inNetwork = new GuestPolicy(rules, subject(1), network)
  const inRouter = new GuestPolicy(rules, subject(1), router)
  const stranger = new GuestPolicy(rules, subject(2), network)
  const named = { instance: `instance ${instanceId(1)}`, network: `network ${networkId(1)}` }

  t.strictSame(inNetwork.action('token', 'identity'), { value: 'off', rule: named.instance })
  t.strictSame(inNetwork.action('token', 'user_data'), { value: 'enforce', rule: named.network })
  t.strictSame(inNetwork.action('token', 'password'), {
    value: 'observe',
    rule: `project ${projectId(1)}`,
  })
  t.strictSame(inNetwork.action('forwarded', 'user_data'), { value: 'observe', rule: 'built in' })
  t.strictSame(inRouter.action('forwarded', 'user_data'), {
    value: 'enforce',
    rule: `router ${routerId(1)}`,
  })
  t.strictSame(inNetwork.hopLimit, { value: 2, rule: named.network })
  t.strictSame(inNetwork.seal, { value: 'never', rule: named.instance })
  t.strictSame(stranger.action('token', 'identity'), { value: 'enforce', rule: 'default' })
  t.strictSame(stranger.hopLimit, { value: 3, rule: 'default' })
  t.ok(rules.hostNames.has('metadata.example'))
})

t.test('seal_after has a default, and counts from what seal names', async (t) => {
  const rules = readPolicyFile(fileWith(t, 'default: { seal: first_request }'), true)
  t.strictSame(new GuestPolicy(rules, subject(1), network).seal, {
    value: { after: 900_000, from: 'first_request' },
    rule: 'default',
  })
})

const bad: readonly (readonly [what: string, text: string, problem: RegExp])[] = [
  ['an unknown key', 'defaults: {}', /unknown key; did you mean default/],
  ['an unknown key of a rule', `rules: [{ project: p, tokens: enforce }]`, /unknown key.*token/],
  ['an unknown action', 'default: { token: enforced }', /"enforced" is not off, observe, enforce/],
  ['an unknown class', 'default: { token: { userdata: enforce } }', /is not off, observe, enforce/],
  [
    'two rules for one network',
    'rules: [{ network: n, token: off }, { project: p }, { network: n }]',
    /rules\[2\].*second rule for network n, after rules\[0\]/,
  ],
  ['a rule for nothing', 'rules: [{ token: enforce }]', /exactly one of instance, network/],
  ['a rule for two things', 'rules: [{ network: n, project: p }]', /exactly one of/],
  ['what is no id', 'rules: [{ network: "a b" }]', /is not the id of one network/],
  ['a hop limit of 0', 'default: { hop_limit: 0 }', /from 1 to 64/],
  ['a hop limit of 65', 'default: { hop_limit: 65 }', /from 1 to 64/],
  ['a seal that begins never', 'default: { seal_after: 5m }', /must go with seal/],
  ['a key twice', 'default: { token: off }\ndefault: { token: enforce }', /unique/],
  ['no YAML', 'default: {', /./],
  ['a list', '- token: enforce', /./],
]
for (const [what, text, problem] of bad) {
  t.test(`${what} is refused, with the place`, async (t) => {
    const file = fileWith(t, text)
    t.throws(() => readPolicyFile(file, true), { name: ConfigError.name })
    const problems = policyFileProblems(file, 'shield.policy_file', true)
    const texts = problems.map(({ path, message }) => `${path} ${message}`)
    t.match(texts.join('\n'), problem)
    t.ok(texts.every((one) => one.startsWith('shield.policy_file')))
  })
}

t.test('a file that is not there is a problem', async (t) => {
  t.not(policyFileProblems('/nowhere/shield.yaml', 'shield.policy_file', true).length, 0)
})

t.test('nothing is sealed where windows would end with the agent', async (t) => {
  const file = fileWith(t, `default: { seal: never }\nrules: [{ network: n, seal: fetch }]`)
  t.match(policyFileProblems(file, 'x', false), [
    { path: 'x: rules[0].seal', message: /needs shield\.state_file/ },
  ])
  t.strictSame(policyFileProblems(file, 'x', true), [])
})
