import t from 'tap'
import {
  leasedHeaderNames,
  leaseLine,
  readLeaseNews,
  readLeaseRequest,
} from '../../../lib/wire/lease-messages.ts'

const whole = {
  kind: 'request',
  request: 1,
  scope: { kind: 'router', routerId: 'r1' },
  sourceIp: '10.0.0.10',
  sourceMac: 'fa:16:3e:00:00:01',
}

t.test('readLeaseRequest reads what leaseLine wrote', async (t) => {
  for (const request of [
    whole,
    { ...whole, scope: { kind: 'network', networkId: 'n1' }, sourceIp: 'fe80::1' },
    { ...whole, ingressPort: '4d2a7c11-9e' },
    { ...whole, ingressPort: 'other' },
    { kind: 'stale', lease: 3 },
  ]) {
    const read = readLeaseRequest(request)
    t.strictSame(read, request)
    t.strictSame(read && JSON.parse(leaseLine(read)), request)
    t.match(read && leaseLine(read), /^[^\n]*\n$/)
  }
})

t.test('readLeaseRequest takes no key that is less than whole', async (t) => {
  const { sourceMac, ...withoutMac } = whole
  t.ok(sourceMac)
  for (const request of [
    withoutMac,
    { ...whole, sourceMac: 'fa:16:3e:00:00' },
    { ...whole, sourceIp: '10.0.0' },
    { ...whole, sourceIp: ['10.0.0.10'] },
    { ...whole, scope: { kind: 'router', networkId: 'n1' } },
    { ...whole, scope: { kind: 'all', routerId: 'r1' } },
    { ...whole, scope: { kind: 'router', routerId: 'r1\r\nx' } },
    { ...whole, ingressPort: '4D2A7C11-9E' },
    { ...whole, ingressPort: null },
    { ...whole, request: '1' },
    { ...whole, request: 1.5 },
    { ...whole, kind: 'lease' },
    { kind: 'stale' },
    [whole],
    null,
    'request',
  ]) {
    t.equal(readLeaseRequest(request), undefined, JSON.stringify(request))
  }
})

t.test('readLeaseRequest knows an ingress port beside a router alone', async (t) => {
  const ofNetwork = { ...whole, scope: { kind: 'network', networkId: 'n1' } }
  t.strictSame(readLeaseRequest({ ...ofNetwork, ingressPort: 'other' }), ofNetwork)
})

t.test('readLeaseNews reads what an agent sends', async (t) => {
  t.strictSame(readLeaseNews({ kind: 'heartbeat', more: 1 }), { kind: 'heartbeat' })
  const concurrency = { min: 1, max: 8 }
  const heartbeat = { kind: 'heartbeat', concurrency }
  t.strictSame(readLeaseNews(heartbeat), heartbeat)
  for (const wrong of [{ min: 0 }, { min: 9 }, { max: 1.5 }, { min: '1' }]) {
    const said = { kind: 'heartbeat', concurrency: { ...concurrency, ...wrong } }
    t.equal(readLeaseNews(said), undefined, JSON.stringify(wrong))
  }
  const headers = leasedHeaderNames.flatMap((name) => [name, 'x'])
  const upstream = { url: 'http://192.0.2.1:8775', insecure: false, headers }
  const patient = { ...upstream, timeoutHeaders: 60_000, timeoutBody: 600_000 }
  for (const one of [upstream, patient]) {
    const lease = { kind: 'lease', request: 1, lease: 2, ttl: 5_000, upstreams: [one] }
    t.strictSame(readLeaseNews(lease), lease)
  }
  for (const wrong of [0, -1, 1.5, 600_001, '60s', null]) {
    const upstreams = [{ ...patient, timeoutHeaders: wrong }]
    const lease = { kind: 'lease', request: 1, lease: 2, ttl: 5_000, upstreams }
    t.equal(readLeaseNews(lease), undefined, JSON.stringify(wrong))
  }
  t.strictSame(readLeaseNews({ kind: 'revoke', leases: [1, 2] }), {
    kind: 'revoke',
    leases: [1, 2],
  })
  t.equal(readLeaseNews({ kind: 'revoke', leases: ['1'] }), undefined)
  t.equal(readLeaseNews({ kind: 'refused' }), undefined)
})
