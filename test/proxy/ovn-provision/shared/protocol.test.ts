import t from 'tap'
import { readFromPlanner } from '../../../../proxy/ovn-provision/shared/protocol.ts'

const networkId = 'ab111111-0000-4000-8000-000000000001'
const plan = {
  networkId,
  macAddress: 'fa:16:3e:00:00:02',
  mtu: 1442,
  addresses: ['10.0.0.2/24'],
  ipv6: true,
  fillsChecksums: false,
}

t.test('readFromPlanner reads what a planner sends', async (t) => {
  const report = {
    southbound: 'connected',
    isSouthboundLive: true,
    local: 'connected',
    isLocalLive: true,
    chassis: 'host',
    bridge: 'br-int',
  }
  for (const message of [
    { kind: 'ready' },
    { kind: 'open', id: 1, place: 'local' },
    { kind: 'open', id: 2, place: 0 },
    { kind: 'report', report },
    { kind: 'complete', networks: [plan] },
    { kind: 'change', put: [plan], gone: [networkId] },
  ]) {
    t.strictSame(readFromPlanner(message), message)
  }
})

t.test('readFromPlanner takes no plan that could touch anything else', async (t) => {
  for (const wrong of [
    { networkId: '../../../etc/passwd' },
    { networkId: `${networkId}\n` },
    { networkId: networkId.toUpperCase() },
    { networkId: 7 },
    { macAddress: 'fa:16:3e:00:00' },
    { mtu: 7 },
    { mtu: 1e9 },
    { mtu: '1500' },
    { addresses: '10.0.0.2/24' },
    { addresses: ['10.0.0.2'] },
    { addresses: ['10.0.0.2/0'] },
    { addresses: ['10.0.0.2/33'] },
    { addresses: ['fe80::a9fe:a9fe/128'] },
    { addresses: ['::ffff:10.0.0.2/24'] },
    { addresses: Array.from({ length: 2_000 }, () => '10.0.0.2/24') },
    { ipv6: 'yes' },
    { fillsChecksums: undefined },
  ]) {
    const networks = [plan, { ...plan, ...wrong }]
    t.equal(
      readFromPlanner({ kind: 'complete', networks }),
      undefined,
      JSON.stringify(wrong).slice(0, 80),
    )
    t.equal(readFromPlanner({ kind: 'change', put: networks, gone: [] }), undefined)
  }
  t.equal(readFromPlanner({ kind: 'change', put: [], gone: ['..'] }), undefined)
})

t.test('readFromPlanner takes nothing that is no message', async (t) => {
  for (const wrong of [
    undefined,
    null,
    'ready',
    [],
    {},
    { kind: 'run', command: 'reboot' },
    { kind: 'open', id: '1', place: 'local' },
    { kind: 'open', id: 1, place: '/run/secret.sock' },
    { kind: 'report' },
    { kind: 'complete' },
    { kind: 'complete', networks: [null] },
    { kind: 'change', put: [] },
  ]) {
    t.equal(readFromPlanner(wrong), undefined, JSON.stringify(wrong))
  }
})
