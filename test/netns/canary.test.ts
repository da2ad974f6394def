import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { ProxyStatus } from '../../lib/operator/api/proxy-api.ts'
import { GuestSockets } from '../support/connect-from.ts'
import { metadataIpv6, visit } from '../support/guest-visit.ts'
import {
  ipBatch,
  makeEmptyNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'
import { eui64Of, Segment, type Guest } from '../support/segment.ts'
import { routerPortBehind } from '../support/made-links.ts'
import { WholeChain } from '../support/whole-chain.ts'

const metadataIpv4 = '169.254.169.254'
const gatewayMac = 'fa:16:3e:ff:00:01'
const guestMac = 'fa:16:3e:00:00:10'

interface Place {
  readonly kind: 'router' | 'network'
  readonly netns: string
  readonly neutronName: string
  readonly router: string
  readonly network: string
  readonly guest: Guest
}

function makePlace(t: Test, kind: Place['kind']): Place {
  const netns = uniqueName()
  makeEmptyNamespaces(t, [netns])
  const segment = new Segment(t)
  const isRouter = kind === 'router'
  segment.attach({
    netns,
    device: isRouter ? 'qr-7e57ab1e-00' : 'tap7e57ab1e-00',
    mac: gatewayMac,
    addresses: isRouter
      ? ['10.0.0.1/24', 'fe80::1/64']
      : ['10.0.0.1/24', `${metadataIpv4}/32`, `${metadataIpv6}/128`, eui64Of(gatewayMac)],
  })
  const guest = segment.addGuest({
    mac: guestMac,
    addresses: ['10.0.0.10/24'],
    routes: [`${metadataIpv4}/32 via 10.0.0.1`],
  })
  const [router, network] = [randomUUID(), randomUUID()]
  const neutronName = isRouter ? `qrouter-${router}` : `qdhcp-${network}`
  return { kind, netns, neutronName, router, network, guest }
}

function isSeen(kind: Place['kind'], state: 'up' | 'down', why?: string) {
  return ({ namespaces }: ProxyStatus): boolean =>
    namespaces.some(
      (one: ProxyStatus['namespaces'][number]) =>
        one.kind === kind && one.canary === state && (why === undefined || one.why?.includes(why)),
    )
}

if (skipUnlessPrivileged(t)) {
  t.test('the canary sends requests through each namespace and looks like no guest', async (t) => {
    const sockets = await GuestSockets.open()
    t.teardown(() => sockets.close())
    const places = [makePlace(t, 'router'), makePlace(t, 'network')]
    const [router, network] = places as [Place, Place]
    const chain = await WholeChain.start(t, {
      direct: false,
      topology: {
        networks: places.map((one) => ({ id: one.network, project: 'project-of-tests' })),
        routers: [{ id: router.router }],
        ports: [routerPortBehind('qr-7e57ab1e-00', router.router, router.network)],
        instances: places.map((one) => ({
          name: one.kind,
          ports: [{ network: one.network, mac: guestMac, fixed_ips: ['10.0.0.10'] }],
        })),
      },
      proxy: [
        'canary.enabled=true',
        'canary.interval=100ms',
        'canary.timeout_answer=1s',
        'agent.timeout_connect=100ms',
      ],
    })
    const { proxy, compute } = chain
    for (const { netns, neutronName } of places) chain.name(netns, neutronName)
    await chain.untilServing(2)
    for (const { kind } of places) await proxy.until(`${kind} up`, isSeen(kind, 'up'))

    const metrics = await proxy.metrics()
    t.match(metrics, /overlapd_proxy_canary_up\{kind="router"\} 1\n/)
    t.match(metrics, /overlapd_proxy_canary_up\{kind="network"\} 1\n/)
    t.match(metrics, /overlapd_proxy_canary_latency_seconds_count\{kind="router"\} [1-9]/)
    t.match(metrics, /overlapd_proxy_connections_total 0\n/, 'no guest has come')
    t.match(metrics, /overlapd_proxy_requests_total\{status="2xx"\} 0\n/)
    t.same(compute.requests(), [], 'and compute was not asked')
    t.notMatch(chain.agentLog(), /127\.0\.0\.1|refused|no_port/)

    for (const { kind, guest } of places) {
      t.match(await visit(sockets, guest), { whose: kind }, 'guests are served beside it')
      const forged = { fields: ['X-Overlapd-Canary: 1'] }
      t.match(await visit(sockets, guest, forged), { whose: kind }, 'and cannot be it')
      const target = `/canary/${'0'.repeat(64)}`
      t.match(await visit(sockets, guest, { target }), { status: 404, reason: 'none' })
    }
    const local = await runInNetns(network.netns, [
      process.execPath,
      '-e',
      `require('http').get('http://${metadataIpv4}/latest', (answer) => console.log(answer.statusCode))
        .on('error', (cause) => console.log(cause.code))`,
    ])
    t.equal(local.stdout, 'ECONNRESET\n', 'others inside the namespace get nothing')

    await t.test('it reports what is broken, and its repair', async (t) => {
      const isLogged = (text: RegExp) => () => text.test(proxy.log())
      ipBatch([`addr del ${metadataIpv4}/32 dev tap7e57ab1e-00`], network.netns)
      await proxy.until('no address', isSeen('network', 'down', `${metadataIpv4}: `))
      await proxy.until('a word in the log', isLogged(/The canary is not answered/))
      t.match(await proxy.metrics(), /overlapd_proxy_canary_down\{kind="network"\} 1\n/)
      ipBatch([`addr add ${metadataIpv4}/32 dev tap7e57ab1e-00`], network.netns)
      await proxy.until('the address', isSeen('network', 'up'))
      await proxy.until('another word', isLogged(/The canary is answered again/))

      const drop =
        'add chain inet overlapd test { type filter hook input priority -10; policy drop; }'
      await runInNetns(router.netns, ['nft', drop])
      await proxy.until('nothing gets in', isSeen('router', 'down', 'no answer in time'))
      await runInNetns(router.netns, ['nft', 'delete chain inet overlapd test'])
      await proxy.until('all gets in', isSeen('router', 'up'))

      await chain.stopAgent()
      await proxy.until('no agent', isSeen('router', 'down', 'agent_unreachable'))
      await chain.restartAgent('prefer')
      for (const { kind } of places) await proxy.until(`${kind} up`, isSeen(kind, 'up'))
    })
  })

  t.test('without it being wanted there is no canary, and no rule for one', async (t) => {
    const place = makePlace(t, 'router')
    const chain = await WholeChain.start(t, {
      topology: {
        networks: [{ id: place.network }],
        routers: [{ id: place.router, networks: [] }],
      },
    })
    chain.name(place.netns, place.neutronName)
    await chain.untilServing(1)
    const [status] = (await chain.proxy.status()).namespaces
    t.notOk(status && 'canary' in status)
    const { stdout } = await runInNetns(place.netns, ['nft', 'list', 'ruleset'])
    t.match(stdout, 'redirect_metadata')
    t.notMatch(stdout, 'redirect_canary')
  })
}
