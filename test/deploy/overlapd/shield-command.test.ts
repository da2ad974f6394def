import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { operatorProgram } from '../../../deploy/overlapd/operator-program.ts'
import { runProgram } from '../../../lib/cli/command.ts'
import { projectId } from '../../conformance/topology.ts'
import { FakeTerminal } from '../../support/fake-terminal.ts'
import { guestFields, guestInstance, startAgentForOneGuest } from '../../support/one-guest.ts'
import { RecordingUpstream } from '../../support/recording-upstream.ts'
import type { Fields } from '../../support/start-agent.ts'

t.test('overlapd shield shows who is there, suggests a policy, and tries one', async (t) => {
  const upstream = await RecordingUpstream.start()
  t.teardown(() => upstream.close())
  const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  const shield = async (...argv: string[]) => {
    const terminal = new FakeTerminal({ PATH: '/nowhere', NO_COLOR: '1' })
    const words = ['shield', '--agent', agent.admin, ...argv]
    const exitCode = await runProgram(operatorProgram(), words, terminal)
    return { exitCode, ...terminal.written() }
  }
  t.match(await shield(), {
    exitCode: 0,
    out: /^What one agent saw;.*No policy file.*\n\nNo guest was seen/s,
  })

  const from = (client: string, ...fields: Fields): Fields => [
    ...guestFields,
    ['X-Overlapd-Arrival', '64 51234'],
    ['X-Overlapd-Guest-Host', '169.254.169.254'],
    ['X-Overlapd-Guest-Agent', client],
    ...fields,
  ]
  const made = await agent.ask(
    '/latest/api/token',
    from('sdk/3', ['X-aws-ec2-metadata-token-ttl-seconds', '60']),
    { method: 'PUT', body: '' },
  )
  const token = ['X-aws-ec2-metadata-token', String(made?.body)] as const
  await agent.ask('/latest/meta-data/instance-id', from('sdk/3', token))
  await agent.ask('/openstack/latest/user_data', from('sdk/3', token))
  await agent.ask('/latest/meta-data/instance-id', from('curl/8'))

  const shown = await shield()
  t.match(shown.out, /curl\/8.*identity +1 .*\/latest\/meta-data\/instance-id\n/)
  t.match(shown.out, /sdk\/3 +user_data +1 /)
  t.match(shown.out, /3 rows, 2 of them ready for tokens\.\n$/)

  const { out: policy, exitCode } = await shield('--suggest')
  t.equal(exitCode, 0)
  t.match(
    policy,
    `  - project: '${projectId(1)}'\n    forwarded: enforce\n    host: enforce\n    token: { identity: observe, user_data: enforce`,
  )
  const file = join(agent.folder, 'suggested.yaml')
  writeFileSync(file, policy)
  t.match(await shield('--policy', file), { exitCode: 0, out: /would refuse nothing/ })
  writeFileSync(file, `rules: [{ instance: ${guestInstance}, token: enforce }]`)
  const strict = await shield('--policy', file)
  t.match(strict, { exitCode: 1, out: /curl\/8/ })
  t.notMatch(strict.out, /sdk/)
  writeFileSync(file, `rules: [{ project: misspelt, token: off }, { instance: ${guestInstance} }]`)
  t.match(await shield('--policy', file), {
    exitCode: 0,
    out: /^No guest was seen for 1 rules.*\n {2}project misspelt\nThe policy would refuse nothing/,
  })
  writeFileSync(file, 'default: { tokens: enforce }')
  t.match(await shield('--policy', file), { exitCode: 2, error: /unknown key/ })
  t.match(await shield('--by', 'router', '--suggest'), { exitCode: 2, error: /--by must be/ })

  const { out: json } = await shield('--json')
  const { seen } = JSON.parse(json) as { seen: object[] }
  t.equal(seen.length, 3)

  const report = join(agent.folder, 'report.json')
  writeFileSync(report, json)
  const fromFiles = async (...argv: string[]) => {
    const terminal = new FakeTerminal({ PATH: '/nowhere', NO_COLOR: '1' })
    const exitCode = await runProgram(operatorProgram(), ['shield', ...argv], terminal)
    return { exitCode, ...terminal.written() }
  }
  t.match(await fromFiles('--from', report, '--from', report), {
    exitCode: 0,
    out: /^2 reports together.*curl\/8.*identity +2 .*3 rows/s,
  })
  t.match(await fromFiles('--from', file), { exitCode: 2, error: /is no report of/ })
  t.match(await shield('--from', report), { exitCode: 2, error: /exclude each other/ })
})
