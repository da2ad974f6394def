import t from 'tap'
import {
  planAttachments,
  type AttachmentRules,
} from '../../../proxy/namespaces/plan-attachments.ts'
import type { AttachmentRecord } from '../../../proxy/haproxy-shim/attachment-record.ts'
import {
  claimAttachments,
  type ClaimedPlan,
} from '../../../proxy/haproxy-shim/claimed-attachments.ts'
import { tcpAddressText, parseTcpAddress } from '../../../lib/identity/tcp-address.ts'
import { identityOf, type NamespaceKind } from '../../../proxy/namespaces/identity.ts'
import type { FoundNamespace } from '../../../proxy/netns/discover.ts'
import type { NamespaceKey } from '../../../proxy/netns/namespace-handle.ts'
import { scopeText } from '../../../lib/identity/scope.ts'

const one = '6a4f4e4c-3f62-4d6e-9f0e-3d1a2b0c9d10'
const other = '7b5f4e4c-3f62-4d6e-9f0e-3d1a2b0c9d11'
const rules: AttachmentRules = {
  discover: true,
  kinds: ['router', 'network', 'ovn'],
  mappings: [],
  tcpPort: 9697,
  intercept: true,
  homeKey: '4:1' as NamespaceKey,
}

function found(netns: string, inode: number): FoundNamespace {
  return { netns, path: `/run/netns/${netns}`, key: `4:${inode}` as NamespaceKey }
}

function record(
  kind: NamespaceKind,
  id: string,
  inode: number,
  ...listen: string[]
): AttachmentRecord {
  return {
    identity: identityOf(kind, id)!,
    listen: listen.map((text) => parseTcpAddress(text)!),
    namespace: `4:${inode}` as NamespaceKey,
    pid: 77,
    startTime: '5',
    fifo: 'x.wait',
    configFile: '/x.conf',
  }
}

function claim(
  names: readonly FoundNamespace[],
  records: readonly AttachmentRecord[],
  changes: Partial<AttachmentRules> = {},
): ClaimedPlan {
  const changed = { ...rules, ...changes }
  return claimAttachments(planAttachments(names, changed), names, records, changed)
}

function text({ attachments }: ClaimedPlan): string[] {
  return attachments.map(
    ({ netns, identity, listen, intercept }) =>
      `${netns} ${scopeText(identity.scope)} ${listen.map(tcpAddressText).join(' ')}${intercept ? ' intercept' : ''}`,
  )
}

t.test(
  'claimAttachments() serves a namespace without discovery, by its process when it has no name',
  async (t) => {
    const wanted = record('network', one, 5, '169.254.169.254:80')
    t.same(text(claim([found('strange', 5)], [wanted], { discover: false })), [
      `strange network/${one} 169.254.169.254:80`,
    ])
    const plan = claim([], [wanted], { discover: false })
    t.same(text(plan), [`/proc/77/ns/net network/${one} 169.254.169.254:80`])
    t.equal(plan.attachments[0]?.key, '4:5')
  },
)

t.test('claimAttachments() leaves alone what is served in the same way already', async (t) => {
  const names = [found(`qdhcp-${one}`, 5), found(`qrouter-${one}`, 6)]
  const before = planAttachments(names, rules).attachments
  const plan = claim(names, [
    record('network', one, 5, '169.254.169.254:80', '[fe80::a9fe:a9fe%tap0]:80'),
    record('router', one, 6, '0.0.0.0:9697'),
  ])
  t.same(plan.attachments, before)
  t.same(plan.refused, [])
})

t.test('claimAttachments() adds what discovery would not listen on', async (t) => {
  const plan = claim([found(`qrouter-${one}`, 6)], [record('router', one, 6, '[::]:9700')])
  t.same(text(plan), [`qrouter-${one} router/${one} [::]:9700`])
})

t.test('claimAttachments() guards the port of a router that Neutron alone knows', async (t) => {
  const plan = claim([found('strange', 6)], [record('router', one, 6, '[::]:9697')])
  t.same(text(plan), [`strange router/${one} [::]:9697 intercept`])
})

t.test(
  'claimAttachments() serves a network of a DHCP agent as the router it has been given',
  async (t) => {
    const plan = claim(
      [found(`qdhcp-${one}`, 5)],
      [record('router', other, 5, '169.254.169.254:80')],
    )
    t.same(text(plan), [`qdhcp-${one} router/${other} 169.254.169.254:80`])
  },
)

const contradictions: readonly (readonly [string, FoundNamespace[], AttachmentRecord[], RegExp])[] =
  [
    [
      'the name of the namespace',
      [found(`qrouter-${one}`, 6)],
      [record('router', other, 6, '[::]:9697')],
      /its name stands for router\/6a4f/,
    ],
    [
      'the kind in the name',
      [found(`ovnmeta-${one}`, 6)],
      [record('network', one, 6, '169.254.169.254:80')],
      /its name stands for/,
    ],
    [
      'another record',
      [found('strange', 6)],
      [record('router', one, 6, '[::]:9697'), record('router', other, 6, '[::]:9697')],
      /and for router\/7b5f/,
    ],
    [
      'names that contradict each other',
      [found(`qrouter-${one}`, 6), found(`qrouter-${other}`, 6)],
      [record('router', one, 6, '[::]:9697')],
      /contradicts each other/,
    ],
    [
      'the namespace of the proxy itself',
      [found('host', 1)],
      [record('router', one, 1, '[::]:9697')],
      /of the proxy itself/,
    ],
  ]

for (const [what, names, records, why] of contradictions) {
  t.test(`claimAttachments() serves as neither what contradicts ${what}`, async (t) => {
    const plan = claim(names, records)
    t.same(text(plan), [])
    t.match([...plan.refusedClaims.values()], [why])
    t.ok(plan.refused.length > 0)
  })
}

t.test(
  'claimAttachments() refuses what the operator maps to something else, and keeps what agrees',
  async (t) => {
    const mapping = { netns: 'strange', identity: identityOf('router', one)! }
    const names = [found('strange', 6)]
    const agreed = claim(names, [record('router', one, 6, '[::]:9700')], { mappings: [mapping] })
    t.same(text(agreed), [`strange router/${one} [::]:9697 intercept`])
    const contradicted = claim(names, [record('router', other, 6, '[::]:9697')], {
      mappings: [mapping],
    })
    t.same(text(contradicted), [])
    t.match([...contradicted.refusedClaims.values()], [/maps it to router\/6a4f/])
  },
)
