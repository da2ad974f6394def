import t from 'tap'
import { agentProgram } from '../../../agent-side/cli.ts'
import { outlook } from '../../../deploy/demo/report.ts'
import type { DemoEnvironment } from '../../../deploy/demo/environment.ts'
import { operatorProgram } from '../../../deploy/overlapd/operator-program.ts'
import { proxyProgram } from '../../../proxy/cli.ts'

const programs = {
  'node dist/deploy/overlapd/overlapd.js': operatorProgram(),
  'node dist/agent-side/main.js': agentProgram,
  'node dist/proxy/main.js': proxyProgram,
}

const guest = { name: 'guest-1', netns: 'ovd-guest-1', ip: '10.0.0.10', instanceId: 'i-1' }
const places = {
  agentAdminSocket: '/demo/agent-admin.sock',
  proxyAdminSocket: '/demo/proxy-admin.sock',
  topologyFile: '/demo/topology.yaml',
  agentConfig: '/demo/agent.yaml',
  proxyConfig: '/demo/proxy.yaml',
}
const demo = {
  kind: 'namespaces',
  guestAccess: 'root',
  notes: [],
  topology: { networks: [{ routerId: 'r-1', networkId: 'n-1', guests: [guest] }] },
  requestsOf: () => [{ url: 'http://169.254.169.254/openstack/latest/meta_data.json' }],
  places,
} as unknown as DemoEnvironment

t.test(
  'the hints of the demo are commands that there are, for every file they name, and the pages',
  async (t) => {
    const text = outlook(demo, {})
    const commands = text.split('\n').filter((line) => line.startsWith('    '))
    for (const file of Object.values(places)) {
      t.ok(
        commands.some((line) => line.includes(file)),
        file,
      )
    }
    for (const socket of [places.agentAdminSocket, places.proxyAdminSocket]) {
      t.ok(
        commands.some((line) => line.includes(' ui ') && line.includes(socket)),
        socket,
      )
    }
    for (const line of commands) {
      const [start, program] =
        Object.entries(programs).find(([name]) => line.trim().startsWith(name)) ?? []
      if (start === undefined || program === undefined) continue
      const [name, ...words] = line
        .trim()
        .slice(start.length + 1)
        .split(' ')
      const command = program.commands.find((one) => one.name === name)
      t.ok(command, line)
      const flags = (command?.options ?? []).flatMap((option) => option.flags.split(/[ ,]+/))
      for (const word of words.filter((one) => one.startsWith('-')))
        t.ok(flags.includes(word), word)
    }
  },
)

t.test('the demo of a package names the commands of the package', async (t) => {
  const names = { operator: 'overlapd', agent: 'overlapd-agent', proxy: 'overlapd-proxy' }
  const text = outlook(demo, {}, names)
  t.notMatch(text, 'node dist')
  for (const name of Object.values(names)) t.match(text, `    ${name} `)
})

t.test('whoever started the demo by sudo reads what needs root with sudo', async (t) => {
  const linesOf = (one: DemoEnvironment, environment: NodeJS.ProcessEnv) =>
    outlook(one, environment)
      .split('\n')
      .filter((line) => line.startsWith('    '))
  const bySudo = linesOf(demo, { SUDO_USER: 'ann' })
  t.strictSame(
    bySudo.filter((line) => !line.startsWith('    sudo ')),
    ['    node dist/agent-side/main.js reference'],
  )
  const byRoot = linesOf(demo, {})
  t.strictSame(
    byRoot,
    bySudo.map((line) => line.replace('sudo ', '')),
  )
})

t.test('a demo without root names no command that enters its namespaces', async (t) => {
  const text = outlook({ ...demo, guestAccess: 'none' }, {})
  t.notMatch(text, /ip netns|curl| test |sudo/)
  t.match(text, 'start the demo as root')
})
