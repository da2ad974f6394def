import t from 'tap'
import {
  planAttachments,
  type AttachmentRules,
} from '../../../proxy/namespaces/plan-attachments.ts'
import { tcpAddressText } from '../../../lib/identity/tcp-address.ts'
import { identityOf } from '../../../proxy/namespaces/identity.ts'
import type { FoundNamespace } from '../../../proxy/netns/discover.ts'
import type { NamespaceKey } from '../../../proxy/netns/namespace-handle.ts'

const idA = 'aaaaaaaa-9d0d-4f0c-8a3b-0123456789ab'
const idB = 'bbbbbbbb-9d0d-4f0c-8a3b-0123456789ab'
const homeKey = '4:1' as NamespaceKey

const rules: AttachmentRules = {
  discover: true,
  kinds: ['router', 'network', 'ovn'],
  mappings: [],
  tcpPort: 9697,
  intercept: true,
  homeKey,
}

function found(netns: string, inode: number): FoundNamespace {
  const path = netns.startsWith('/') ? netns : `/run/netns/${netns}`
  return { netns, path, key: `4:${inode}` as NamespaceKey }
}

t.test('planAttachments() listens where each kind of agent would', async (t) => {
  const { attachments, refused } = planAttachments(
    [found(`qrouter-${idA}`, 10), found(`qdhcp-${idA}`, 11), found(`ovnmeta-${idA}`, 12)],
    rules,
  )
  t.same(
    attachments.map(({ listen, intercept }) => [listen.map(tcpAddressText), intercept]),
    [
      [['[::]:9697'], true],
      [['169.254.169.254:80', '[fe80::a9fe:a9fe]:80'], false],
      [['169.254.169.254:80', '[fe80::a9fe:a9fe]:80'], false],
    ],
  )
  t.same(refused, [])
})

t.test('planAttachments() leaves alone what is not wanted', async (t) => {
  const all = [found(`qrouter-${idA}`, 10), found(`qdhcp-${idA}`, 11), found('mine', 12)]
  t.equal(planAttachments(all, { ...rules, discover: false }).attachments.length, 0)
  t.same(
    planAttachments(all, { ...rules, kinds: ['network'] }).attachments.map(({ netns }) => netns),
    [`qdhcp-${idA}`],
  )
  t.equal(planAttachments(all, { ...rules, intercept: false }).attachments[0]?.intercept, false)
})

t.test('planAttachments() serves a namespace claimed for two scopes as neither', async (t) => {
  const { attachments, refused } = planAttachments(
    [found(`qrouter-${idA}`, 10), found(`qrouter-${idB}`, 10), found(`qdhcp-${idA}`, 11)],
    rules,
  )
  t.same(
    attachments.map(({ netns }) => netns),
    [`qdhcp-${idA}`],
  )
  t.same(
    refused.map(({ netns }) => netns),
    [`qrouter-${idA}`, `qrouter-${idB}`],
  )
  t.match(refused[0]?.why, `router/${idA} and router/${idB}`)
})

t.test('planAttachments() does what the operator maps, whatever the name suggests', async (t) => {
  const identity = identityOf('router', 'other')!
  const mapped = { ...rules, mappings: [{ netns: `qrouter-${idA}`, identity }] }
  t.equal(planAttachments([found(`qrouter-${idA}`, 10)], mapped).attachments[0]?.identity, identity)

  const byPath = { ...rules, mappings: [{ netns: '/run/netns/x', identity, intercept: false }] }
  const both = planAttachments([found(`qrouter-${idA}`, 10), found('/run/netns/x', 10)], byPath)
  t.same(both.refused, [])
  t.equal(both.attachments.length, 1)
  t.equal(both.attachments[0]?.identity, identity)
  t.equal(both.attachments[0]?.intercept, false)
})

t.test('planAttachments() never listens in the namespace of the proxy', async (t) => {
  const { attachments, refused } = planAttachments([found(`qrouter-${idA}`, 1)], rules)
  t.same(attachments, [])
  t.match(refused, [{ why: /the proxy itself/ }])
})
