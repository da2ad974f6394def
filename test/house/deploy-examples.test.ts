import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { agentProgram } from '../../agent-side/cli.ts'
import { parseTopology } from '../../agent-side/ports/static/read-topology.ts'
import { readPolicyFile } from '../../agent-side/shield/policy-file.ts'
import { runProgram, type ProgramSpec } from '../../lib/cli/command.ts'
import { proxyProgram } from '../../proxy/cli.ts'
import { FakeTerminal } from '../support/fake-terminal.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { projectPaths, projectRoot } from '../support/source-files.ts'
import { TestAuthority, withoutOpenssl } from '../support/test-authority.ts'

const folder = 'deploy/examples'
const paths = projectPaths([folder]).filter((path) => path.endsWith('.yaml'))
const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8')

const programs: Readonly<Record<string, ProgramSpec>> = {
  proxy: proxyProgram,
  agent: agentProgram,
}

/** A folder that holds what the examples expect in `/etc/overlapd`. */
function etcOf(t: Test): string {
  const etc = scratchFolder(t)
  const tls = join(etc, 'tls')
  mkdirSync(tls)
  for (const name of [
    'shared-secret',
    'next-shared-secret',
    'transport-url',
    'keystone-password',
  ]) {
    const text = name === 'transport-url' ? 'rabbit://neutron:secret@192.0.2.30:5672/' : name
    writeFileSync(join(etc, name), text, { mode: 0o600 })
  }
  for (const name of ['ports.yaml', 'proxies.yaml']) {
    copyFileSync(join(projectRoot, folder, name), join(etc, name))
  }
  const authority = new TestAuthority(tls)
  for (const name of ['cloud-ca', 'ovn-ca']) {
    copyFileSync(authority.caFile, join(tls, `${name}.pem`))
  }
  for (const name of ['agent', 'host', 'ovn']) {
    const { certificateFile, keyFile } = authority.issue({ dnsNames: [`${name}.example`] })
    copyFileSync(certificateFile, join(tls, `${name}.pem`))
    copyFileSync(keyFile, join(tls, `${name}.key`))
  }
  return etc
}

/** What `check` says to a text, with its files where they are in the test. */
async function checked(
  program: ProgramSpec,
  etc: string,
  text: string,
): Promise<{ readonly exitCode: number; readonly out: string; readonly error: string }> {
  const file = join(etc, 'example.yaml')
  writeFileSync(file, text.replaceAll('/etc/overlapd/', `${etc}/`))
  const terminal = new FakeTerminal()
  const exitCode = await runProgram(program, ['check', '--config', file], terminal)
  return { exitCode, ...terminal.written() }
}

t.test('each example can be used as it is', { skip: withoutOpenssl() }, async (t) => {
  const etc = etcOf(t)
  const examples = paths.filter((path) => /\/(?:proxy|agent)\//.test(path))
  t.ok(examples.length >= 15)
  for (const path of examples) {
    const program = programs[path.split('/')[2] ?? '']
    if (program === undefined) throw new Error(`${path} is of no program`)
    const { exitCode, out, error } = await checked(program, etc, read(path))
    t.strictSame([exitCode, error], [0, ''], path)
    t.notMatch(out, /warning/i, path)
    t.match(out, /example\.yaml/, `${path} sets something`)
  }
})

t.test('an example that is wrong would be noticed', { skip: withoutOpenssl() }, async (t) => {
  const etc = etcOf(t)
  const central = read(`${folder}/agent/central.yaml`)
  const unknown = await checked(agentProgram, etc, `${central}\nno_such_key: 1\n`)
  t.equal(unknown.exitCode, 2)
  const absent = await checked(agentProgram, etc, central.replace('tls/agent.pem', 'tls/no.pem'))
  t.equal(absent.exitCode, 2)
  t.match(absent.error, /no\.pem/)
})

t.test(
  'what a sample of the package has behind # can be used',
  { skip: withoutOpenssl() },
  async (t) => {
    const etc = etcOf(t)
    for (const [name, program] of Object.entries(programs)) {
      const sample = read(`deploy/packages/etc/${name}.yaml`)
      const settings = sample.split('\n').filter((line) => /^#(?:\w| {2}\w)/.test(line))
      const text = settings.map((line) => `${line.slice(1)}\n`).join('')
      const { exitCode, out, error } = await checked(program, etc, text)
      t.strictSame([exitCode, error], [0, ''], name)
      t.match(out, /example\.yaml/, `${name} sets something`)
    }
  },
)

t.test('each kind of port directory has an example', async (t) => {
  const { directoryKinds } = await import('../../agent-side/ports/registry.ts')
  const texts = paths.filter((path) => path.includes('/agent/')).map(read)
  for (const kind of directoryKinds) {
    t.ok(
      texts.some((text) => text.includes(`kind: ${kind}\n`)),
      kind,
    )
  }
})

t.test('the example of ports holds one address twice', async (t) => {
  const topology = parseTopology(read(`${folder}/ports.yaml`), 'ports.yaml')
  const owners = topology.ports.filter((port) =>
    port.fixedIps.some((address) => address === '10.0.0.10'),
  )
  t.equal(new Set(owners.map((port) => port.instanceId)).size, 2)
})

t.test('the example of a policy can be used, and shows each kind of decision', async (t) => {
  const { rules, byDefault, hostNames } = readPolicyFile(
    join(projectRoot, folder, 'shield.yaml'),
    true,
  )
  const all = Object.values(rules).flatMap((ofSubject) => [...ofSubject.values()])
  t.equal(all.length, 4)
  t.ok(all.some(({ seal }) => seal !== undefined))
  t.ok(all.some(({ hopLimit }) => hopLimit === 2))
  t.ok(all.some(({ actions }) => actions.token?.other === 'enforce'))
  t.ok(all.some(({ actions }) => actions.token?.other === undefined && actions.token))
  t.equal(byDefault.actions.token?.user_data, 'observe', 'nobody is refused by default')
  t.equal(hostNames.size, 1)
})

t.test('the page of examples names each of them once', async (t) => {
  const page = read(`${folder}/README.md`)
  for (const path of paths) {
    const link = `[${basename(path)}](${path.slice(folder.length + 1)})`
    t.equal(page.split(link).length - 1, 1, link)
  }
})
