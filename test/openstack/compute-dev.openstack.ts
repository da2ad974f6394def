/** Does the development compute API answer as Nova does, on every path of both trees? */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDevCompute } from '../../agent-side/compute-dev/serve.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import { silentLogger } from '../../lib/runtime/log.ts'
import { Secret } from '../../lib/runtime/secret.ts'
import { ask, type Question, type Reply } from '../support/dev-compute.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { runningCloud, type Guest } from './cloud.ts'
import { agentHeaders, comparable } from './genuine-documents.ts'
import { urlOf } from './place.ts'
import { addResult } from './results.ts'
import { vendorData } from './services/nova.ts'

const { place, guests } = runningCloud()
const nova = urlOf(place, 'novaUwsgi')

const ec2Versions = [
  '1.0',
  '2007-01-19',
  '2007-03-01',
  '2007-08-29',
  '2007-10-10',
  '2007-12-15',
  '2008-02-01',
  '2008-09-01',
  '2009-04-04',
  'latest',
  '2016-09-02',
]
const openstackVersions = [
  '2012-08-10',
  '2013-04-04',
  '2013-10-17',
  '2015-10-15',
  '2016-06-30',
  '2016-10-06',
  '2017-02-22',
  '2018-08-27',
  '2020-10-14',
  'latest',
  '2011-01-01',
]
const openstackDocuments = [
  'meta_data.json',
  'user_data',
  'password',
  'vendor_data.json',
  'network_data.json',
  'vendor_data2.json',
  'version',
  'content/0000',
  'nope',
  'meta_data.json/x',
]
// Without a path that is not UTF-8: behind uWSGI Nova stumbles over it and closes the connection.
const oddPaths = [
  '/',
  '//',
  '/.',
  '/x/..',
  '/..',
  '/openstack',
  '/openstack/',
  '/ec2',
  '/favicon.ico',
  '/latest/api/token',
  '/latest/dynamic',
  '/LATEST',
  '/openstack/content',
  '/latest/..',
  '/openstack/content/0000',
  '/latest/meta-data/public-keys/0/_name',
  '/latest;x',
  '/openstack/latest/../../latest/user-data',
  '/latest/%6deta-data',
  '/latest/%zz',
  '/latest%2Fmeta-data',
  '/latest?x=1',
  '/latest/meta-data/iam',
  '/ec2/',
  '/ec2/ec2/latest',
  '/latest/meta-data/ami-id%00',
  '/openstack/latest/%e2%82%ac',
]
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']

function headersOf({ instance }: Guest): Record<string, string> {
  return agentHeaders(place.sharedSecret, instance, instance.port.ip)
}

/** The file of the development compute API that says what Nova says, of what only Nova knows. */
async function topologyLikeNova(): Promise<string> {
  const text = async (guest: Guest, path: string): Promise<string> =>
    (await ask(nova, path, { headers: headersOf(guest) })).text
  const instances = guests.map(async (guest) => {
    const { instance } = guest
    const { port } = instance
    const document = JSON.parse(await text(guest, '/openstack/latest/meta_data.json')) as {
      readonly meta: object
      readonly keys: readonly object[]
      readonly launch_index: number
    }
    const ec2 = (name: string): Promise<string> => text(guest, `/latest/meta-data/${name}`)
    return {
      id: instance.id,
      project: instance.projectId,
      name: instance.name,
      meta: document.meta,
      key: document.keys[0],
      flavor: await ec2('instance-type'),
      ec2_id: await ec2('instance-id'),
      ami_id: await ec2('ami-id'),
      reservation_id: await ec2('reservation-id'),
      launch_index: document.launch_index,
      root_device: await ec2('block-device-mapping/root'),
      user_data: instance.userData,
      ports: [
        { id: port.id, network: port.networkId, mac: port.mac, fixed_ips: [port.ip, port.ip6] },
      ],
    }
  })
  return JSON.stringify({
    networks: guests.map(({ network, instance }) => ({
      id: network.id,
      name: network.name,
      project: network.projectId,
      mtu: 1450,
      subnets: [
        { cidr: '10.0.0.0/24', dns_nameservers: ['192.0.2.53'] },
        { cidr: 'fd00::/64', dns_nameservers: [] },
      ].map((subnet) =>
        instance.port.hasGateway ? subnet : Object.assign(subnet, { gateway_ip: null }),
      ),
    })),
    routers: [],
    instances: await Promise.all(instances),
    compute: { vendor_data: vendorData },
  })
}

const file = join(scratchFolder(t), 'topology.yaml')
writeFileSync(file, await topologyLikeNova())
const compute = await startDevCompute({
  file,
  listen: { host: '127.0.0.1', tcpPort: 0 },
  clock: systemClock,
  logger: silentLogger,
  secret: new Secret(place.sharedSecret),
})
t.teardown(() => compute.close())
let compared = 0
let different = 0

/** A version that the development server knows and this Nova does not yet. */
const newerVersion = '2025-04-04\n'

function shape(path: string, { status, type, text }: Reply): unknown {
  const isDocument = status === 200 && text.startsWith('{')
  const plain = path.startsWith('/openstack') ? text.replace(newerVersion, '') : text
  return { status, type, text: isDocument ? comparable(path, text) : plain }
}

/** Asks both the same. @returns Nova's answer */
async function compare(t: Test, path: string, question: Question, server = nova): Promise<Reply> {
  const [genuine, ours] = await Promise.all([
    ask(server, path, question),
    ask(compute.url, path, question),
  ])
  compared += 1
  const name = `${question.method ?? 'GET'} ${path}`
  if (!t.strictSame(shape(path, ours), shape(path, genuine), name)) different += 1
  return genuine
}

/** Goes down a folder of the EC2 tree as its lists lead. */
async function crawl(t: Test, path: string, question: Question): Promise<void> {
  const { status, text } = await compare(t, path, question)
  await compare(t, `${path}/`, question)
  if (status !== 200) return
  for (const entry of text.split('\n')) {
    const [key = '', name] = entry.split('=')
    if (name !== undefined) {
      await crawl(t, `${path}/${key}`, question)
      await compare(t, `${path}/${entry}`, question)
    } else if (entry.endsWith('/')) {
      await crawl(t, `${path}/${entry.slice(0, -1)}`, question)
    } else if (/\/(?:meta-data|placement|block-device-mapping|0)$/.test(path)) {
      await compare(t, `${path}/${entry}`, question)
    }
  }
}

for (const guest of guests) {
  const question = { headers: headersOf(guest) }
  t.test(`the EC2 tree of guest ${guest.name} is Nova's`, async (t) => {
    for (const version of ec2Versions) {
      await compare(t, `/${version}`, question)
      await compare(t, `/ec2/${version}`, question)
      await crawl(t, `/${version}/meta-data`, question)
      await compare(t, `/${version}/user-data`, question)
    }
  })
  t.test(`the OpenStack tree of guest ${guest.name} is Nova's`, async (t) => {
    for (const version of openstackVersions) {
      const folder = `/openstack/${version}`
      await compare(t, folder, question)
      for (const name of openstackDocuments) await compare(t, `${folder}/${name}`, question)
      await compare(t, `//openstack//${version}/./x/../meta_data.json/`, question)
    }
  })
}

t.test('odd paths and methods are answered as by Nova', async (t) => {
  const headers = headersOf(guests[0]!)
  for (const path of oddPaths) {
    for (const method of methods) await compare(t, path, { method, headers })
  }
  for (const accept of ['text/html', 'application/json', 'text/*', 'image/png', '*/*;q=0.5']) {
    await compare(t, '/nope', { headers: { ...headers, accept } })
  }
  for (const method of methods.filter((one) => one !== 'GET' && one !== 'POST')) {
    await compare(t, '/openstack/latest/password', { method, headers })
  }
  // uWSGI resets the connection where a body was not read.
  const reading = urlOf(place, 'novaEventlet')
  const short = { method: 'POST', headers, body: 'x' }
  await compare(t, '/openstack/2012-08-10/password', short, reading)
  const long = { method: 'POST', headers, body: 'x'.repeat(1_021) }
  await compare(t, '/openstack/latest/password', long, reading)
})

t.test('headers that are missing or wrong are refused as by Nova', async (t) => {
  const all = headersOf(guests[0]!)
  const { 'x-instance-id-signature': signature = '' } = all
  const without = (...names: readonly string[]): Record<string, string> =>
    Object.fromEntries(Object.entries(all).filter(([name]) => !names.includes(name)))
  const questions = [
    without('x-instance-id'),
    without('x-instance-id-signature'),
    without('x-tenant-id'),
    without('x-forwarded-for'),
    without('x-instance-id-signature', 'x-tenant-id'),
    without('x-instance-id', 'x-tenant-id'),
    { ...all, 'x-instance-id': '' },
    { ...all, 'x-tenant-id': '' },
    { ...all, 'x-tenant-id': 'x' },
    { ...all, 'x-instance-id-signature': '' },
    { ...all, 'x-instance-id-signature': 'x' },
    { ...all, 'x-instance-id-signature': signature.toUpperCase() },
  ]
  for (const headers of questions) {
    for (const path of ['/', '/openstack', '/latest/meta-data/local-ipv4', '/nope']) {
      await compare(t, path, { headers })
    }
  }
})

t.test('the comparison has seen both trees', async (t) => {
  t.ok(compared > 500, `${compared} answers`)
  addResult(place, 'Development compute API beside Nova', { compared, different })
})
