import t from 'tap'
import { runningCloud, type BareGuest } from './cloud.ts'
import { startDaemon, stopDaemon } from './daemon.ts'
import { NeutronApi } from './neutron-api.ts'
import { instanceIn, portsSections, startAgent } from './overlapd.ts'
import { makePassingGuest } from './passing-guest.ts'
import { addResult } from './results.ts'
import { haproxyHeaders } from './scope-headers.ts'
import { neutronReady } from './services/neutron.ts'
import { ovnReady } from './services/ovn.ts'
import { rabbitMqReady } from './services/rabbitmq.ts'
import { startTellingCompute } from './telling-compute.ts'

const { place, crowd } = runningCloud()
const compute = await startTellingCompute(t, place)

const kinds = [
  {
    directory: 'neutron-rest',
    flavour: 'ml2',
    daemon: 'neutronKeystone',
    // Asked again soon, so that its absence is noticed soon.
    ports: portsSections.neutronRestWithKeystone(place, { max_age: '500ms' }),
    says: /failed in a row, last: .*ECONNREFUSED/,
    back: () => neutronReady(place, 'neutronKeystone'),
  },
  {
    directory: 'neutron-rpc',
    flavour: 'ml2',
    daemon: 'rabbitmq',
    ports: portsSections.neutronRpc(place),
    says: /^no broker: .*ECONNREFUSED/,
    back: () => rabbitMqReady(place),
  },
  {
    directory: 'ovn',
    flavour: 'ovn',
    daemon: 'ovn-sb',
    ports: portsSections.ovn(place, { ovsdb_retry_max_interval: '2s' }),
    says: /not confirmed for .*: .*ECONNREFUSED/,
    back: () => ovnReady(place, 'sb'),
  },
] as const

for (const { directory, flavour, daemon, ports, says, back } of kinds) {
  t.test(
    `${directory}: while ${daemon} is away, who is known is served or gets Retry-After`,
    async (t) => {
      const agent = startAgent(t, place, { ports, upstreams: [compute] })
      await agent.untilReady()
      const [first] = crowd[flavour]
      const api = new NeutronApi(place, flavour === 'ovn' ? 'neutronOvn' : 'neutron')
      const known = { ...first!, ip: '10.0.0.20' }
      const instance = crowd[flavour].find(
        ({ networkId, ip }) => networkId === known.networkId && ip === known.ip,
      )?.instanceId
      const ask = async (ip = known.ip) =>
        await agent.ask(flavour, haproxyHeaders({ ...known, ip }, flavour))
      t.equal(instanceIn(await ask()), instance, 'before')
      await stopDaemon(place, daemon)
      let detail = ''
      try {
        await agent.until('readiness tells', async () => {
          await ask()
          const { parts } = await agent.readiness()
          detail = parts.find(({ name }) => name === 'directory')?.detail ?? ''
          const others = parts.filter(({ name, ready }) => name !== 'directory' && !ready)
          return says.test(detail) && others.length === 0
        })
        t.match(detail, says, 'readiness tells which part is missing')
        for (let count = 0; count < 20; count += 1) {
          // For some seconds from what is held; then it may be out of date, and guests get 503 and wait.
          const answer = await ask()
          const mustWait =
            answer.status === 503 &&
            answer.retryAfter !== undefined &&
            answer.reason?.startsWith('directory_') === true
          t.ok(
            instanceIn(answer) === instance || mustWait,
            `who is known is served or waits: ${answer.status} ${answer.reason}`,
          )
        }
        const unknown = await ask('10.0.0.199')
        t.ok(
          unknown.status === 404 || (unknown.status === 503 && unknown.retryAfter !== undefined),
          `who is not is refused: ${unknown.status} ${unknown.reason}`,
        )
      } finally {
        startDaemon(place, daemon)
        await back()
      }
      await agent.untilReady()
      // Guests that were told to wait come again; so long the agent may leave a service in peace that has just failed.
      await agent.until('who is known is served', async () => instanceIn(await ask()) === instance)
      t.pass('afterwards')
      // On another network, of which the agent has not heard yet.
      const neighbour = crowd[flavour].find(({ networkId }) => networkId !== known.networkId)
      let newcomer: BareGuest | undefined
      // Neutron itself may need a while to come back.
      await agent.until('Neutron makes ports', async () => {
        newcomer = await makePassingGuest(t, api, neighbour!)
        return true
      })
      await agent.until('the newcomer is found', async () => {
        const answer = await agent.ask(flavour, haproxyHeaders(newcomer!, flavour))
        return instanceIn(answer) === newcomer?.instanceId
      })
      t.pass('what changed since then is known')
      addResult(place, 'A service is away', { directory, away: daemon, 'readiness says': detail })
    },
  )
}
