import t from 'tap'
import {
  fixedIpFilter,
  halve,
  inChunks,
  portsPath,
} from '../../../../../agent-side/ports/neutron-rest/neutron/ports-query.ts'
import { retryAfter } from '../../../../../agent-side/ports/neutron-rest/http/retry-after.ts'
import { FakeClock } from '../../../../support/fake-clock.ts'

const networkIds = Array.from({ length: 400 }, (_, index) => `network-${index}`)
const question = {
  kind: 'ports_by_address',
  fields: ['id', 'network_id'],
  filters: [{ name: 'network_id', values: networkIds }, fixedIpFilter(['10.0.0.10', 'fd00::10'])],
} as const

t.test('portsPath() repeats filters and escapes values', async (t) => {
  const [small] = inChunks({ ...question, filters: [fixedIpFilter(['fd00::10'])] }, 10, 7_000)
  t.equal(
    small && portsPath(small, 10, 'm'),
    '/v2.0/ports?fields=id&fields=network_id&fixed_ips=ip_address%3Dfd00%3A%3A10&limit=10&marker=m',
  )
})

t.test('inChunks() keeps every target short and requests every value once', async (t) => {
  const chunks = inChunks(question, 1_000, 1_000)
  t.ok(chunks.every((chunk) => portsPath(chunk, 1_000).length <= 1_000))
  const asked = chunks.flatMap((chunk) => chunk.filters[0]?.values ?? [])
  t.strictSame([...asked].sort(), [...networkIds].sort())
  t.ok(chunks.every((chunk) => chunk.filters[1]?.values.length === 2))
})

t.test('halve() leaves a question of single values and never cuts the owners', async (t) => {
  const single = { ...question, filters: [fixedIpFilter(['10.0.0.1'])] }
  t.equal(halve(single), undefined)
  const owners = { ...question, filters: [{ name: 'device_owner', values: ['a', 'b'] }] } as const
  t.equal(halve(owners), undefined)
  t.strictSame(inChunks(single, 10, 10), [single], 'too long, yet it cannot be cut')
})

t.test('retryAfter() reads seconds and dates', async (t) => {
  const clock = new FakeClock()
  t.equal(retryAfter('3', clock), 3_000)
  t.equal(retryAfter('Thu, 01 Jan 2026 00:00:05 GMT', clock), 5_000)
  t.equal(retryAfter('Wed, 31 Dec 2025 00:00:00 GMT', clock), 0)
  for (const text of [undefined, '', 'soon', '-1x']) t.equal(retryAfter(text, clock), undefined)
})
