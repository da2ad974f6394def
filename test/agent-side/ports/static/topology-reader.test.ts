import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { StaticFileError } from '../../../../agent-side/ports/static/problems.ts'
import { parseTopology } from '../../../../agent-side/ports/static/read-topology.ts'
import { readTopology } from '../../../../agent-side/ports/static/topology-reader.ts'

const never = new AbortController().signal
const small = `
projects: [{ id: team-a }]
networks:
  - { id: net-a, project: team-a, subnets: [10.0.0.0/24, 'fd00::/64'] }
routers: [{ id: router-a, networks: [net-a] }]
instances:
  - name: web-1
    meta: { role: web, constructor: x }
    user_data: "#cloud-config"
    ports:
      - { network: net-a, mac: 'fa:16:3e:00:00:10', fixed_ips: [10.0.0.10, 'fd00::10'] }
compute:
  faults: [{ path: '^/openstack', status: 503, times: 2 }]
`
/** Long enough for a thread. */
const large = small.replace(
  'routers:',
  `${Array.from({ length: 800 }, (_, index) => `  - { id: net-${index}, subnets: [10.1.0.0/24] }\n`).join('')}routers:`,
)

t.test(
  'readTopology() makes the same of a large file in its thread as of a small one',
  async (t) => {
    for (const text of [small, large]) {
      const topology = await readTopology({ text, file: 'ports.yaml' }, never)
      t.ok(isDeepStrictEqual(topology, parseTopology(text, 'ports.yaml')))
    }
    const topology = await readTopology({ text: large, file: 'ports.yaml' }, never)
    t.equal(topology.networks.size, 801)
    t.equal(topology.compute.faults[0]?.path?.test('/openstack/latest'), true)
  },
)

t.test('readTopology() lets the loop turn while a large file is read', async (t) => {
  let turns = 0
  let isDone = false
  const count = (): void => {
    turns += 1
    if (!isDone) setImmediate(count)
  }
  count()
  await readTopology({ text: large, file: 'ports.yaml' }, never)
  isDone = true
  t.ok(turns > 10, `${turns} turns`)
})

t.test('readTopology() reports what is wrong with a large file, with the line', async (t) => {
  const text = `${large}\nports: [{ network: net-a, mac: 5 }]\n`
  const refused = await readTopology({ text, file: 'ports.yaml' }, never).catch(
    (cause: unknown) => cause,
  )
  t.ok(refused instanceof StaticFileError)
  t.match(refused, { problems: [/^ports\[0\]\.mac: .*\(line \d+\)$/] })
  const broken = `${large}\n  - [`
  await t.rejects(readTopology({ text: broken, file: 'ports.yaml' }, never), {
    name: 'StaticFileError',
  })
})

t.test('readTopology() ends the thread when no caller waits for it any more', async (t) => {
  const abort = new AbortController()
  const reading = readTopology({ text: large, file: 'ports.yaml' }, abort.signal)
  abort.abort()
  await t.rejects(reading, { name: 'AbortError' })
})
