import t from 'tap'
import { MetadataError } from '../../../lib/runtime/errors.ts'
import { readLookupKey, type Peer } from '../../../agent-side/peers/lookup-key.ts'

const ours: Peer = { kind: 'overlapd' }
const router = ['X-Neutron-Router-ID', 'r1', 'X-Forwarded-For', '10.0.0.10']
const network = ['X-Neutron-Network-ID', 'n1', 'X-Forwarded-For', '10.0.0.10']

function codeOf(peer: Peer, headers: readonly string[]): string {
  try {
    readLookupKey(peer, headers)
    return 'read'
  } catch (thrown) {
    if (thrown instanceof MetadataError) return thrown.code
    throw thrown
  }
}

t.test('readLookupKey reads the ingress port beside a router id', async (t) => {
  for (const ingressPort of ['4d2a7c11-9e', 'other']) {
    const key = readLookupKey(ours, [...router, 'X-Overlapd-Ingress-Port', ingressPort])
    t.strictSame(key, {
      scope: { kind: 'router', routerId: 'r1' },
      sourceIp: '10.0.0.10',
      ingressPort,
    })
  }
  t.notOk('ingressPort' in readLookupKey(ours, router))
})

t.test('readLookupKey leaves the ingress port out beside a network id', async (t) => {
  const key = readLookupKey(ours, [...network, 'X-Overlapd-Ingress-Port', 'other'])
  t.notOk('ingressPort' in key)
})

t.test('readLookupKey refuses an ingress port that is malformed or repeated', async (t) => {
  const ingress = 'X-Overlapd-Ingress-Port'
  for (const headers of [router, network]) {
    for (const value of ['', 'qr-4d2a7c11-9e', '4D2A7C11-9E', 'other, other']) {
      t.equal(codeOf(ours, [...headers, ingress, value]), 'identity_malformed', value)
    }
    const repeated = [...headers, ingress, 'other', ingress.toLowerCase(), 'other']
    t.equal(codeOf(ours, repeated), 'identity_repeated')
  }
})

t.test('readLookupKey ignores an ingress port that came through haproxy', async (t) => {
  const haproxy: Peer = { kind: 'neutron', flavour: 'ml2' }
  for (const value of ['4d2a7c11-9e', 'nonsense']) {
    const key = readLookupKey(haproxy, [...router, 'X-Overlapd-Ingress-Port', value])
    t.notOk('ingressPort' in key)
  }
})
