import { join } from 'node:path'
import t from 'tap'
import { agentProgram } from '../../../agent-side/cli.ts'
import { runProgram } from '../../../lib/cli/command.ts'
import { FakeTerminal } from '../../support/fake-terminal.ts'

const files = {
  'neutron.conf': '[DEFAULT]\ntransport_url = rabbit://u:brokerpass@127.0.0.1/\n',
  'metadata_agent.ini': '[DEFAULT]\nmetadata_proxy_shared_secret = hidden\nmetadata_workers = 2\n',
  'late.conf': '[DEFAULT]\nnova_metadata_port = 99999\n',
  more: { 'x.conf': '[DEFAULT]\nnova_metadata_host = nova.example\n' },
  'overlay.yaml': 'cache:\n  ttl: 3s\ncompute:\n  upstreams: [http://192.0.2.1:8775]\n',
}

async function check(
  ...argv: readonly string[]
): Promise<{ code: number; out: string; error: string }> {
  const terminal = new FakeTerminal()
  const code = await runProgram(agentProgram, ['check', ...argv], terminal)
  return { code, ...terminal.written() }
}

t.test("check --config-file explains Neutron's files and prints them in our form", async (t) => {
  const folder = t.testdir(files)
  const at = (name: string): string => join(folder, name)
  const { code, out } = await check(
    '--config-file',
    at('neutron.conf'),
    '--config-file',
    at('metadata_agent.ini'),
    '--config-dir',
    at('more'),
  )
  t.equal(code, 0)
  t.match(out, /\[DEFAULT\] metadata_workers +one event loop/)
  t.match(out, 'shared_secret_file: "/etc/overlapd/secrets/compute-shared_secret"')
  t.match(out, '- "http://nova.example:8775"')
  t.match(out, /compute\.shared_secret +\[redacted\] +\S+metadata_agent\.ini:2/)
  t.notMatch(out, /hidden|brokerpass/)
})

t.test('a YAML file beside --config-file wins over it', async (t) => {
  const folder = t.testdir(files)
  const at = (name: string): string => join(folder, name)
  const { out } = await check(
    '--config-file',
    at('neutron.conf'),
    '--config-file',
    at('metadata_agent.ini'),
    '--config',
    at('overlay.yaml'),
  )
  t.match(out, /cache\.ttl +3s +\S+overlay\.yaml:2/)
  t.match(out, /compute\.upstreams +\["http:\/\/192\.0\.2\.1:8775"\]/)
})

t.test('a file that cannot be used ends check with 2 and the place', async (t) => {
  const folder = t.testdir(files)
  const at = (name: string): string => join(folder, name)
  const bad = await check('--config-file', at('neutron.conf'), '--config-file', at('late.conf'))
  t.equal(bad.code, 2)
  t.match(bad.error, /late\.conf:2: \[DEFAULT\] nova_metadata_port: 99999 is more than 65535/)
  const absent = await check('--config-file', at('absent.ini'))
  t.equal(absent.code, 2)
  const alone = await check('--config-file', at('metadata_agent.ini'))
  t.match(alone.error, 'transport_url is not set')
  t.equal((await check('--neutron-directory', 'ovn')).code, 2)
  const wrong = ['--config-file', at('neutron.conf'), '--neutron-directory', 'sql']
  t.equal((await check(...wrong)).code, 2)
})
