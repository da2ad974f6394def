import t from 'tap'
import { ec2Versions } from '../../../agent-side/compute-dev/ec2-tree.ts'
import { openstackVersions } from '../../../agent-side/compute-dev/openstack-tree.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { ask, runDevCompute, signedHeaders, type Reply } from '../../support/dev-compute.ts'

const uuid = '5f0c1f3e-3b0e-4c55-9f43-0a4c7a1d2b10'
const bare = '5f0c1f3e-3b0e-4c55-9f43-0a4c7a1d2b11'
const project = '0123456789abcdef0123456789abcdef'

const file = `
networks:
- id: net
  mtu: 1442
  subnets:
  - cidr: 10.0.0.0/24
    dns_nameservers: [192.0.2.53]
    host_routes: [{destination: 10.9.0.0/16, nexthop: 10.0.0.254}]
  - cidr: 2001:db8::/64
    ipv6_address_mode: slaac
instances:
- id: ${uuid}
  project: '${project}'
  name: Web 1
  ami_id: ami-00000001
  kernel_id: aki-00000001
  reservation_id: r-probe001
  key: {name: ops, data: 'ssh-ed25519 AAAA ops@example'}
  meta: {role: web, größe: klein}
  security_groups: [default, web]
  block_devices: {ephemeral0: /dev/vdb}
  user_data_base64: H4sIAP8A/w==
  floating_ips: [203.0.113.9]
  dedicated_cpus: [3, 2]
  devices:
  - {type: nic, bus: pci, address: '0000:00:03.0', mac: 'fa:16:3e:00:00:10', tags: [mgmt], vlan: 7}
  - {type: nic, bus: pci, address: '0000:00:04.0', mac: 'fa:16:3e:00:00:11'}
  - {type: disk, bus: scsi, address: '1:0:0:0', serial: vol-1, path: /dev/vdb, tags: [db]}
  - {type: share, bus: none, address: none, share_id: s-1, tag: data}
  ports:
  - id: 11112222-3333-4444-8555-666677778888
    network: net
    mac: fa:16:3e:00:00:10
    fixed_ips: [10.0.0.5, '2001:db8::f816:3eff:fe00:10']
- id: ${bare}
  project: '${project}'
  user_data: ''
  root_device: null
  ami_id: null
`

const text = 'text/plain; charset=UTF-8'
const html = 'text/html; charset=UTF-8'
const json = 'application/json'

t.test('The compute-dev API', async (t) => {
  const compute = await runDevCompute(file)
  t.teardown(() => compute.closeAll())
  const of = (instance: string) => (target: string, method?: string) =>
    ask(compute.url, target, {
      headers: signedHeaders(instance, project),
      ...(method !== undefined && { method }),
    })
  const get = of(uuid)
  const getBare = of(bare)
  const is = (reply: Reply, status: number, type: string | undefined, body?: string): void => {
    t.strictSame([reply.status, reply.type], [status, type])
    if (body !== undefined) t.equal(reply.text, body)
  }

  const since: Readonly<Record<string, string>> = {
    'meta_data.json': '2012-08-10',
    user_data: '2012-08-10',
    'network_data.json': '2012-08-10',
    password: '2013-04-04',
    'vendor_data.json': '2013-10-17',
    'vendor_data2.json': '2016-10-06',
  }
  const types: Readonly<Record<string, string>> = {
    'meta_data.json': json,
    user_data: text,
    'network_data.json': text,
    password: html,
    'vendor_data.json': json,
    'vendor_data2.json': json,
  }
  await t.test('serves each file from its OpenStack version on', async () => {
    for (const version of [...openstackVersions, 'latest']) {
      for (const [name, first] of Object.entries(since)) {
        const reply = await get(`/openstack/${version}/${name}`)
        if (version >= first) is(reply, 200, types[name])
        else is(reply, 404, html)
      }
      is(await get(`/openstack/${version}/content/0000`), 404, html)
    }
  })

  await t.test('lists the files of each OpenStack version in their order', async (t) => {
    const listed = async (version: string): Promise<string> =>
      (await get(`/openstack/${version}`)).text
    t.equal(await listed('2012-08-10'), 'meta_data.json\nuser_data')
    t.equal(await listed('2013-04-04'), 'meta_data.json\nuser_data\npassword')
    t.equal(await listed('2013-10-17'), 'meta_data.json\nuser_data\npassword\nvendor_data.json')
    const all =
      'meta_data.json\nuser_data\npassword\nvendor_data.json\nnetwork_data.json\nvendor_data2.json'
    t.equal(await listed('latest'), all)
    t.equal(await listed('latest/version/'), all)
    t.equal((await get('/openstack/2011-01-01')).status, 404)
  })

  await t.test('gives meta_data.json the keys of its version', async (t) => {
    const keys = async (version: string): Promise<string> =>
      Object.keys(JSON.parse((await get(`/openstack/${version}/meta_data.json`)).text)).join(' ')
    const first = 'uuid meta public_keys keys hostname name launch_index availability_zone'
    t.equal(await keys('2012-08-10'), first)
    t.equal(await keys('2013-04-04'), `${first} random_seed`)
    t.equal(await keys('2015-10-15'), `${first} random_seed project_id`)
    t.equal(await keys('2016-06-30'), `${first} random_seed project_id devices`)
    t.equal(await keys('latest'), `${first} random_seed project_id devices dedicated_cpus`)
    const reply = await get('/openstack/latest/meta_data.json')
    t.match(JSON.parse(reply.text), {
      uuid,
      hostname: 'web-1.novalocal',
      name: 'Web 1',
      project_id: project,
      dedicated_cpus: [2, 3],
      meta: { größe: 'klein' },
      public_keys: { ops: 'ssh-ed25519 AAAA ops@example' },
      keys: [{ name: 'ops', type: 'ssh', data: 'ssh-ed25519 AAAA ops@example' }],
    })
    t.match(reply.text, /"gr\\u00f6\\u00dfe": "klein"/, 'ASCII, spaced as Python does')
  })

  await t.test('lists of devices what the version knows', async (t) => {
    const devices = async (version: string): Promise<readonly Record<string, unknown>[]> =>
      (
        JSON.parse((await get(`/openstack/${version}/meta_data.json`)).text) as {
          devices: readonly Record<string, unknown>[]
        }
      ).devices
    t.strictSame(
      (await devices('2016-06-30')).map((device) => [device['type'], 'vlan' in device]),
      [
        ['nic', false],
        ['disk', false],
      ],
    )
    t.equal((await devices('2017-02-22'))[0]?.['vlan'], 7)
    const rocky = await devices('2018-08-27')
    t.equal(rocky.length, 3)
    t.equal(rocky[1]?.['vf_trusted'], false)
    t.equal((await devices('2025-04-04')).at(-1)?.['type'], 'share')
  })

  await t.test('makes random_seed anew for every request', async (t) => {
    const seed = async (): Promise<string> =>
      (JSON.parse((await get('/openstack/latest/meta_data.json')).text) as { random_seed: string })
        .random_seed
    const [one, other] = [await seed(), await seed()]
    t.equal(Buffer.from(one, 'base64').length, 512)
    t.not(one, other)
  })

  await t.test('makes network_data.json of ports and subnets', async (t) => {
    t.strictSame(JSON.parse((await get('/openstack/2012-08-10/network_data.json')).text), {
      links: [
        {
          id: 'tap11112222-33',
          vif_id: '11112222-3333-4444-8555-666677778888',
          type: 'ovs',
          mtu: 1442,
          ethernet_mac_address: 'fa:16:3e:00:00:10',
        },
      ],
      networks: [
        {
          id: 'network0',
          type: 'ipv4',
          link: 'tap11112222-33',
          ip_address: '10.0.0.5',
          netmask: '255.255.255.0',
          routes: [
            { network: '0.0.0.0', netmask: '0.0.0.0', gateway: '10.0.0.1' },
            { network: '10.9.0.0', netmask: '255.255.0.0', gateway: '10.0.0.254' },
          ],
          network_id: 'net',
          services: [{ type: 'dns', address: '192.0.2.53' }],
        },
        {
          id: 'network1',
          type: 'ipv6_slaac',
          link: 'tap11112222-33',
          ip_address: '2001:db8::f816:3eff:fe00:10',
          netmask: 'ffff:ffff:ffff:ffff::',
          routes: [{ network: '::', netmask: '::', gateway: '2001:db8::1' }],
          network_id: 'net',
          services: [],
        },
      ],
      services: [{ type: 'dns', address: '192.0.2.53' }],
    })
    t.equal((await getBare('/openstack/latest/network_data.json')).text, '{}')
  })

  await t.test('passes user data as octets, on both trees', async (t) => {
    const octets = Buffer.from('H4sIAP8A/w==', 'base64')
    t.strictSame((await get('/openstack/latest/user_data')).body, octets)
    t.strictSame((await get('/latest/user-data/')).body, octets)
    const empty = await getBare('/latest/user-data')
    t.strictSame([empty.status, empty.text], [200, ''], 'given, but empty')
  })

  const ec2Since: readonly (readonly [string, string, string])[] = [
    ['ami-id', '1.0', 'ami-00000001'],
    ['ami-launch-index', '1.0', '0'],
    ['ami-manifest-path', '1.0', 'FIXME'],
    ['hostname', '1.0', 'web-1.novalocal'],
    ['instance-id', '1.0', 'i-00000001'],
    ['local-ipv4', '1.0', '10.0.0.5'],
    ['public-keys', '1.0', '0=ops'],
    ['public-keys/0', '1.0', 'openssh-key'],
    ['public-keys/0/openssh-key', '1.0', 'ssh-ed25519 AAAA ops@example'],
    ['public-keys/0/_name', '1.0', '0=ops'],
    ['reservation-id', '1.0', 'r-probe001'],
    ['security-groups', '1.0', 'default\nweb'],
    ['local-hostname', '2007-01-19', 'web-1.novalocal'],
    ['public-hostname', '2007-01-19', 'web-1.novalocal'],
    ['public-ipv4', '2007-01-19', '203.0.113.9'],
    ['instance-type', '2007-08-29', 'm1.small'],
    ['block-device-mapping', '2007-12-15', 'ami\nephemeral0\nroot'],
    ['block-device-mapping/ami', '2007-12-15', 'vda'],
    ['block-device-mapping/root', '2007-12-15', '/dev/vda'],
    ['block-device-mapping/ephemeral0', '2007-12-15', '/dev/vdb'],
    ['kernel-id', '2007-12-15', 'aki-00000001'],
    ['placement', '2008-02-01', 'availability-zone'],
    ['placement/availability-zone', '2008-02-01', 'nova'],
    ['instance-action', '2008-09-01', 'none'],
  ]
  await t.test('serves each EC2 key from its version on', async () => {
    for (const version of [...ec2Versions, 'latest']) {
      for (const [key, first, value] of ec2Since) {
        const reply = await get(`/${version}/meta-data/${key}`)
        if (ec2Versions.indexOf(version as '1.0') < 0 || version >= first)
          is(reply, 200, text, value)
        else is(reply, 404, html)
      }
    }
  })

  await t.test('lists the EC2 tree sorted, without a last newline', async (t) => {
    t.equal((await get('/latest')).text, 'meta-data/\nuser-data')
    const keys =
      'ami-id ami-launch-index ami-manifest-path block-device-mapping/ hostname instance-action ' +
      'instance-id instance-type kernel-id local-hostname local-ipv4 placement/ public-hostname ' +
      'public-ipv4 public-keys/ reservation-id security-groups'
    t.equal((await get('/latest/meta-data/')).text, keys.replaceAll(' ', '\n'))
    t.equal((await get('/ec2/latest/meta-data')).text, keys.replaceAll(' ', '\n'))
  })

  await t.test('has texts of its own for what an instance lacks', async (t) => {
    const value = async (key: string): Promise<string> =>
      (await getBare(`/latest/meta-data/${key}`)).text
    t.equal(await value('ami-id'), 'None')
    t.equal(await value('local-ipv4'), '10.0.0.10', 'the forwarded address')
    t.equal(await value('public-ipv4'), '')
    t.equal((await getBare('/latest/meta-data/public-ipv4')).status, 200)
    t.equal((await getBare('/latest/meta-data/public-keys')).status, 404)
    t.equal(await value('block-device-mapping/swap'), 'sda3')
    t.equal(await value('instance-id'), 'i-00000002')
  })

  await t.test('lists versions, for any client at the root', async () => {
    const ec2 = [...ec2Versions, 'latest'].join('\n')
    for (const target of ['/', '//', '/.', '/x/..', '/..', '/?x=1']) {
      is(await ask(compute.url, target), 200, text, ec2)
    }
    is(await ask(compute.url, '/openstack'), 400, html)
    is(await get('/ec2/'), 200, text, ec2)
    is(await get('/openstack/'), 200, text, [...openstackVersions, 'latest'].join('\n'))
    is(await get('/openstack', 'DELETE'), 200, text)
  })

  await t.test('reads paths as Nova does', async (t) => {
    t.equal((await get('//latest//meta-data//ami-id/')).text, 'ami-00000001')
    t.equal((await get('/openstack/latest/../../latest/meta-data/ami-id')).text, 'ami-00000001')
    t.equal((await get('/latest/%6deta-data/ami-id?x=1')).text, 'ami-00000001')
    t.equal((await get('/latest%2Fmeta-data/ami-id')).text, 'ami-00000001')
    const unknown = [
      '/favicon.ico',
      '/LATEST',
      '/2021-03-23/meta-data/instance-id',
      '/2016-09-02/meta-data/instance-id',
      '/latest/dynamic/instance-identity/document',
      '/latest/meta-data/iam/',
      '/latest/meta-data/mac',
      '/latest/meta-data/instance-id/x',
      '/latest/meta-data/public-keys/0=ops',
      '/latest/meta-data/__proto__',
      '/latest/constructor',
      '/openstack/content',
      '/openstack/content/0000',
      '/openstack/latest/meta_data.json/x',
      '/openstack/latest/constructor',
      '/latest/%zz',
    ]
    for (const target of unknown) is(await get(target), 404, html)
    is(await get('/latest/api/token', 'PUT'), 404, html)
  })

  await t.test('ignores the method except on password, and gives HEAD no body', async (t) => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      is(await get('/latest/meta-data/ami-id', method), 200, text, 'ami-00000001')
    }
    const head = await get('/latest/meta-data/ami-id', 'HEAD')
    is(head, 200, text, '')
    t.equal(head.headers['content-length'], '12')
    is(await get('/nope', 'OPTIONS'), 200, undefined, '')
  })

  await t.test('hides versions of the future from the list, and serves them', async (t) => {
    const early = await runDevCompute(file, new FakeClock(0, Date.UTC(2016, 7, 1)))
    t.teardown(() => early.closeAll())
    const headers = signedHeaders(uuid, project)
    const list = (await ask(early.url, '/openstack', { headers })).text
    t.equal(list, '2012-08-10\n2013-04-04\n2013-10-17\n2015-10-15\n2016-06-30\nlatest')
    const newest = await ask(early.url, '/openstack/2025-04-04/meta_data.json', { headers })
    t.equal(newest.status, 200)
  })
})
