import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  parseNeutronPort,
  type JsonObject,
} from '../../../../../agent-side/ports/directory/neutron-port.ts'
import { decodeMessage } from '../../../../../agent-side/ports/neutron-rpc/bus/oslo-envelope.ts'
import {
  objectVersion,
  parsePortObject,
  parsePush,
} from '../../../../../agent-side/ports/neutron-rpc/bus/versioned-object.ts'

const fixtures = new URL('../../../../fixtures/neutron-rpc/', import.meta.url)

function message(name: string): { readonly args: JsonObject; readonly rows: readonly unknown[] } {
  const read = decodeMessage(readFileSync(new URL(name, fixtures)))
  return {
    args: read.kind === 'request' ? read.args : {},
    rows: read.kind === 'reply' ? (read.result as readonly unknown[]) : [],
  }
}

t.test('parsePush() reads a port that a real server pushed', async (t) => {
  t.strictSame(parsePush(message('push-updated.json').args), [
    {
      kind: 'updated',
      held: {
        port: {
          portId: 'a010507d-02cb-4ae4-af42-3566e42ccb63',
          networkId: '4452d5e3-d2fb-42c7-a87d-0565a62a4603',
          macAddress: 'fa:16:3e:50:28:2b',
          fixedIps: ['10.9.0.206', 'fd09::f816:3eff:fe50:282b'],
          instanceId: '11111111-2222-3333-4444-666666666666',
          projectId: 'rpcfixtures',
          deviceOwner: 'compute:nova',
          name: 'p1',
        },
        revision: 2,
      },
    },
  ])
})

t.test('parsePush() reads a deletion, which has the id alone', async (t) => {
  t.strictSame(parsePush(message('push-deleted.json').args), [
    { kind: 'deleted', portId: 'a010507d-02cb-4ae4-af42-3566e42ccb63' },
  ])
})

t.test('A port reads the same from an object and from the API', async (t) => {
  const [object] = message('reply-bulk-pull.json').rows
  const [row] = message('reply-get-ports.json').rows
  t.strictSame(parsePortObject(object), parseNeutronPort(row))
  t.equal(objectVersion(object), '1.7')
})

t.test('parsePush() ignores other resources and refuses what it cannot read', async (t) => {
  const port = { 'versioned_object.name': 'Port', 'versioned_object.data': { id: 'p' } }
  const network = { 'versioned_object.name': 'Network', 'versioned_object.data': { id: 'n' } }
  t.strictSame(parsePush({ resource_list: [network], event_type: 'updated' }), [])
  const broken: readonly JsonObject[] = [
    {},
    { resource_list: {}, event_type: 'updated' },
    { resource_list: [port], event_type: 'moved' },
    { resource_list: [port], event_type: 'updated' },
    { resource_list: ['p'], event_type: 'deleted' },
    { resource_list: [{ ...port, 'versioned_object.data': {} }], event_type: 'deleted' },
    { resource_list: [{ ...port, 'versioned_object.data': 5 }], event_type: 'deleted' },
  ]
  for (const args of broken) {
    t.throws(() => parsePush(args), { code: 'directory_unavailable' }, JSON.stringify(args))
  }
})

t.test('objectVersion() gives nothing but a version', async (t) => {
  const versions = [undefined, null, 5, {}, { 'versioned_object.version': '../../x' }]
  for (const primitive of versions) t.equal(objectVersion(primitive), undefined)
})

t.test(
  'parseNeutronPort() takes what tenants write, and refuses what identity needs',
  async (t) => {
    const row = {
      id: 'p',
      network_id: 'n',
      mac_address: 'FA:16:3E:00:00:01',
      fixed_ips: [{ ip_address: '2001:DB8:0:0::1' }],
      device_id: 'no id, but text\n',
      device_owner: '',
      tenant_id: 'old',
      name: 'x'.repeat(500),
    }
    const { port } = parseNeutronPort(row)
    t.equal(port.macAddress, 'fa:16:3e:00:00:01')
    t.strictSame(port.fixedIps, ['2001:db8::1'])
    t.notOk('instanceId' in port)
    t.equal(port.projectId, 'old')
    t.equal(port.name?.length, 255)
    t.strictSame(parseNeutronPort({ ...row, fixed_ips: null }).port.fixedIps, [])

    const changes = [
      { id: null },
      { network_id: '' },
      { mac_address: null },
      { fixed_ips: {} },
      { fixed_ips: [{}] },
      { fixed_ips: [{ ip_address: '10.1' }] },
    ]
    for (const change of changes) {
      const broken = { ...row, ...change }
      t.throws(() => parseNeutronPort(broken), { code: 'directory_unavailable' })
    }
  },
)
