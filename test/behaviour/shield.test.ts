/** What do a worker and an agent together keep from those inside a guest? */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { operatorProgram } from '../../deploy/overlapd/operator-program.ts'
import { runProgram } from '../../lib/cli/command.ts'
import type { HealthReport } from '../../lib/operator/health.ts'
import type { Explanation } from '../../lib/operator/explanation.ts'
import { instanceId } from '../conformance/topology.ts'
import { FakeTerminal } from '../support/fake-terminal.ts'
import { get, type RawAnswer } from '../support/raw-http.ts'
import { guestPort, ioTurns, startLeasePair, type LeasePair } from '../support/lease-pair.ts'
import { novaLike } from '../support/recording-upstream.ts'
import { scratchFolder } from '../support/scratch-folder.ts'

const guest = guestPort(1)
const neighbour = guestPort(2, { fixedIps: guestPort(2).fixedIps })
const userData = '/openstack/latest/user_data'
const life = 'X-aws-ec2-metadata-token-ttl-seconds'

interface Subject extends LeasePair {
  readonly policyFile: string
  ask(request: string, as?: Parameters<LeasePair['worker']['connectAs']>[0]): Promise<RawAnswer>
  token(ttl?: string, ...fields: string[]): Promise<RawAnswer>
}

async function start(t: Test, policy: string, state?: string): Promise<Subject> {
  const policyFile = join(scratchFolder(t), 'shield.yaml')
  writeFileSync(policyFile, policy)
  const stateFile = join(scratchFolder(t), 'state')
  if (state !== undefined) writeFileSync(stateFile, state)
  const shield = { policy_file: policyFile, state_file: stateFile }
  const pair = await startLeasePair(t, { config: { shield } })
  pair.directory.setPorts(guest)
  pair.directory.remember()
  const ask: Subject['ask'] = async (request, as = guest) => {
    const connection = await pair.worker.connectAs(as)
    void connection.write(request)
    const answer = await connection.answer()
    connection.close()
    if (answer === undefined) throw new Error('No answer')
    return answer
  }
  const token: Subject['token'] = (ttl, ...fields) =>
    ask(put(...(ttl === undefined ? [] : [`${life}: ${ttl}`]), ...fields))
  return { ...pair, policyFile, ask, token }
}

function put(...fields: string[]): string {
  return get('/latest/api/token', 'Content-Length: 0', ...fields).replace('GET', 'PUT')
}

function wordOf(answer: RawAnswer): string {
  return `${answer.status} ${answer.field('x-overlapd-reason') ?? ''}`.trim()
}

t.test(
  'a token opens what requires one, and nothing of the way there reaches guest or compute',
  async (t) => {
    const { ask, token, upstream, worker } = await start(t, 'default: { token: enforce }')
    t.equal(wordOf(await ask(get(userData))), '401 token_missing')
    t.equal(upstream.requests.length, 0)

    const made = await token('60')

    t.match(made.body.toString(), /^[\w-]{56}$/)
    t.equal(made.field(life.toLowerCase()), '60')
    t.equal(made.field('x-overlapd-answer-hop-limit'), undefined)
    t.strictSame(worker.takeHopLimits(), [1])
    const answer = await ask(get(userData, `X-aws-ec2-metadata-token: ${made.body.toString()}`))
    t.equal(answer.status, 200)
    t.strictSame(worker.takeHopLimits(), [], 'tokens alone limit nothing')
    const sent = upstream.requests.flatMap(({ rawHeaders }) => rawHeaders)
    t.notMatch(sent.join('\n'), /metadata-token|x-overlapd/i)
    t.equal(upstream.requests.length, 1)
  },
)

t.test('requests for tokens get the answers of EC2', async (t) => {
  const { ask, token, upstream } = await start(t, '')
  t.equal(wordOf(await token()), '400 token_life_invalid')
  for (const ttl of ['0', '21601', 'abc', '1.5']) {
    t.equal(wordOf(await token(ttl)), '400 token_life_invalid', ttl)
  }
  t.equal(wordOf(await token('60', `${life}: 60`)), '400 token_life_invalid', 'repeated')
  t.equal(wordOf(await token('60', 'X-Forwarded-For: 10.0.0.9')), '403 token_forwarded')
  t.equal(wordOf(await ask(get('/latest/api/token'))), '405 method_not_supported')
  const body = 'x'.repeat(65_536)
  const large = put(`${life}: 60`).replace('Content-Length: 0', `Content-Length: ${body.length}`)
  t.equal((await ask(large + body)).status, 200, 'a body is read and counts for nothing')
  t.equal(wordOf(await ask(`${large.replace('65536', '65537')}${body}x`)), '413 body_too_large')
  t.equal(upstream.requests.length, 0)
})

t.test('a token ends, and is no other guest’s', async (t) => {
  const { ask, token, clock, directory } = await start(t, 'default: { token: enforce }')
  const field = `X-aws-ec2-metadata-token: ${(await token('60')).body.toString()}`
  t.equal(wordOf(await ask(get(userData, field))), '200')
  t.equal(wordOf(await ask(get(userData, field, field))), '401 token_invalid', 'twice')
  directory.setPorts(guest, { ...neighbour, fixedIps: ['127.0.1.2' as never] })
  directory.remember()
  const other = { ...neighbour, fixedIps: ['127.0.1.2' as never] }
  t.equal(wordOf(await ask(get(userData, field), other)), '401 token_invalid', 'stolen')
  await clock.advance(60_000)
  t.equal(wordOf(await ask(get(userData, field))), '401 token_invalid', 'expired')
})

t.test(
  'a container is refused where that is enforced, and what claims otherwise gets no answer across',
  async (t) => {
    const { ask, worker } = await start(t, 'default: { forwarded: { user_data: enforce } }')
    const container = { ...guest, hopLimit: 63 }
    t.equal(wordOf(await ask(get(userData), container)), '403 forwarded_in_guest')
    t.strictSame(worker.takeHopLimits(), [], 'so that it reads why')
    t.equal(wordOf(await ask(get('/openstack'), container)), '200')
    t.strictSame(worker.takeHopLimits(), [])
    t.equal(wordOf(await ask(get(userData))), '200')
    t.strictSame(worker.takeHopLimits(), [1])
    t.equal(wordOf(await ask(get(userData, 'X-Forwarded-For: 10.0.0.9'))), '403 forwarded_in_guest')
  },
)

t.test('a name that was rebound is refused where that is enforced', async (t) => {
  const { ask } = await start(t, 'default: { host: enforce }\nhost_names: [metadata.example]')
  const named = (host: string): string =>
    get(userData).replace('Host: 169.254.169.254', `Host: ${host}`)
  t.equal(wordOf(await ask(named('evil.example'))), '403 host_not_metadata')
  t.equal(wordOf(await ask(named('metadata.example'))), '200')
  const absolute = named('evil.example').replace('GET ', 'GET http://169.254.169.254')
  t.equal(wordOf(await ask(absolute)), '403 host_not_metadata')
})

t.test('what a policy touches never goes under a lease', async (t) => {
  const { ask, agent, worker, policyFile } = await start(t, '')
  await worker.askUntilLeased(guest)
  const directs = async (request: string, as?: typeof guest): Promise<boolean> => {
    const before = await worker.direct()
    await ask(request, as)
    return (await worker.direct()) > before
  }
  t.equal(await directs(get('/latest/meta-data')), true)
  t.equal(await directs(get('/latest/meta-data', 'X-aws-ec2-metadata-token: x')), false)
  t.equal(await directs(get('/latest/meta-data', 'Forwarded: for=10.0.0.9')), false)
  t.equal(await directs(get('/latest/meta-data').replace('169.254.169.254', 'evil')), false)
  t.equal(await directs(get('/latest/meta-data'), { ...guest, hopLimit: 63 } as never), false)

  writeFileSync(policyFile, 'default: { token: { password: enforce } }')
  agent.agent.reload()
  while ((await worker.leases()) > 0) await ioTurns()
  t.equal(await directs(get('/latest/meta-data')), false)
  t.equal(wordOf(await ask(get('/openstack/latest/password'))), '401 token_missing')
})

t.test(
  'a policy that cannot be used leaves the old one, and is a problem until it is corrected',
  async (t) => {
    const { ask, agent, policyFile } = await start(t, 'default: { token: enforce }')
    const refusals = async (): Promise<string | undefined> =>
      /^overlapd_agent_shield_files_total\{file="policy",outcome="refused"\} (\d+)/m.exec(
        await agent.text('/metrics'),
      )?.[1]
    writeFileSync(policyFile, 'default: { token: enforced }')
    agent.agent.reload()
    t.equal(await refusals(), '1')
    t.ok(agent.log.some(({ cause }) => /"enforced" is not off/.test(String(cause))))
    t.equal(wordOf(await ask(get(userData))), '401 token_missing')
    const problems = async (): Promise<unknown> =>
      ((await agent.json('/ready')) as HealthReport).problems.filter(
        ({ part }) => part === 'shield',
      )
    t.match(await problems(), [
      {
        code: 'policy_refused',
        state: 'degraded',
        what: /"enforced" is not off/,
        remedy: /overlapd-agent check/,
      },
    ])
    t.match(await agent.json('/audit'), { findings: [{ code: 'policy_refused', level: 'warn' }] })
    rmSync(policyFile)
    agent.agent.reload()
    t.match(await problems(), [{ code: 'policy_refused', what: /ENOENT|cannot be read/ }])
    writeFileSync(policyFile, 'default: { token: off }')
    agent.agent.reload()
    t.equal(wordOf(await ask(get(userData))), '200')
    t.strictSame(await problems(), [])
  },
)

t.test('explain shows which rule decides, and which decided', async (t) => {
  const { ask, agent, policyFile } = await start(
    t,
    `rules: [{ network: ${guest.networkId}, token: enforce }]`,
  )
  const detailOf = (explanation: unknown): unknown =>
    (explanation as Explanation).steps.find(({ step }) => step === 'shield')?.detail
  const key = `network=${guest.networkId}&ip=127.0.1.1&mac=${guest.macAddress}`
  t.match(detailOf(await agent.json(`/explain?${key}`)), {
    token: `enforce (network ${guest.networkId})`,
    forwarded: 'observe (built in)',
  })
  const refused = await ask(get(userData, 'User-Agent: curl/8'))
  const id = refused.field('x-request-id')
  t.match(detailOf(await agent.json(`/explain?request=${id}`)), {
    token: `token_missing: refused for user_data (network ${guest.networkId})`,
  })
  const metrics = await agent.text('/metrics')
  writeFileSync(policyFile, `rules: [{ network: ${guest.networkId} }, { project: misspelt }]`)
  agent.agent.reload()
  t.match(await agent.json('/shield'), { policy: { rules: 2, unmatched: ['project misspelt'] } })
  const labels = 'shield="token",documents="user_data",action="enforce"'
  t.match(metrics, new RegExp(`^overlapd_agent_shield_findings_total{${labels}} 1`, 'm'))
})

t.test('a guest that turns out to be another is judged by its own policy', async (t) => {
  const other = guestPort(2, { macAddress: guest.macAddress })
  const policy = `rules: [{ instance: ${other.instanceId}, token: enforce }]`
  const { ask, clock, directory, upstream } = await start(t, policy)
  t.equal(wordOf(await ask(get('/'))), '200')
  // Its port goes to another instance, and the directory reports nothing of it.
  directory.deletePort(guest.portId)
  directory.setPorts(other)
  upstream.answer = novaLike('s3cr3t', (instanceId) => instanceId === other.instanceId)
  await clock.advance(2_500)
  t.equal(wordOf(await ask(get(userData))), '401 token_missing')
})

t.test('what a worker serves under a lease is reported as well', async (t) => {
  const { worker, agent, clock } = await start(t, '')
  await worker.askUntilLeased(guest)
  const before = await worker.direct()
  const connection = await worker.connectAs(guest)
  for (let count = 0; count < 3; count += 1) {
    void connection.write(get('/openstack/latest/password', 'User-Agent: reader/1'))
    await connection.answer()
  }
  connection.close()
  t.equal((await worker.direct()) - before, 3, 'under a lease')
  await clock.advance(500)
  await ioTurns()
  const { seen } = (await agent.json('/shield')) as { seen: { client: string }[] }
  t.match(
    seen.filter(({ client }) => client === 'reader/1'),
    [
      {
        instanceId: guest.instanceId,
        projectId: guest.projectId,
        documents: 'password',
        requests: 3,
        lastTarget: '/openstack/latest/password',
        findings: { token: { reason: 'token_missing', requests: 3 } },
      },
    ],
  )
})

t.test('what is sealed is served for a while, and again once an operator opens it', async (t) => {
  const { ask, agent, clock } = await start(t, 'default: { seal: fetch, seal_after: 5m }')
  const password = '/openstack/latest/password'
  t.equal(wordOf(await ask(get(userData))), '200')
  await clock.advance(299_000)
  t.equal(wordOf(await ask(get(userData))), '200', 'a reboot within the window')
  await clock.advance(1_000)
  t.equal(wordOf(await ask(get(userData))), '404 document_sealed')
  t.equal(wordOf(await ask(get('/latest/user-data'))), '404 document_sealed')
  t.equal(wordOf(await ask(get('/openstack/latest/vendor_data2.json'))), '404 document_sealed')
  t.equal(wordOf(await ask(get(password))), '404 document_sealed')
  t.equal(wordOf(await ask(get('/openstack/latest/meta_data.json'))), '200')
  const post = get(password, 'Content-Length: 1').replace('GET', 'POST')
  t.equal(wordOf(await ask(`${post}x`)), '200', 'a password can be left')
  const terminal = new FakeTerminal({ SUDO_USER: 'ada' })
  const words = ['unseal', guest.instanceId ?? '', '--why', 'rebuild', '--agent', agent.admin]
  t.equal(await runProgram(operatorProgram(), words, terminal), 0)
  t.ok(agent.log.some(({ who, why }) => who === 'ada' && why === 'rebuild'))
  t.equal(wordOf(await ask(get(userData))), '200')
})

t.test('a state that is damaged opens nothing, and is a problem with its remedy', async (t) => {
  const { ask, agent, policyFile } = await start(t, 'default: { seal: fetch }', 'cut sho')
  const problems = async (): Promise<unknown> =>
    ((await agent.json('/ready')) as HealthReport).problems.filter(({ part }) => part === 'shield')
  t.equal(wordOf(await ask(get(userData))), '404 document_sealed')
  t.equal(wordOf(await ask(get('/openstack/latest/meta_data.json'))), '200')
  t.match(await problems(), [
    { code: 'seals_lost', state: 'degraded', what: /no state of the shield/, remedy: /unseal/ },
  ])
  t.match(await agent.json('/audit'), { findings: [{ code: 'seals_lost', level: 'fail' }] })
  t.match(
    await agent.text('/metrics'),
    /^overlapd_agent_shield_files_total\{file="state",outcome="refused"\} 1$/m,
  )
  const words = ['unseal', guest.instanceId ?? '', '--why', 'known', '--agent', agent.admin]
  t.equal(await runProgram(operatorProgram(), words, new FakeTerminal({})), 0)
  t.equal(wordOf(await ask(get(userData))), '200')
  writeFileSync(policyFile, 'default: { token: observe }')
  agent.agent.reload()
  t.strictSame(await problems(), [], 'nothing is sealed')
})

t.test(
  'where no further window is kept, a new instance is sealed and health reports it',
  async (t) => {
    const windows = Array.from({ length: 100_000 }, (_, index) =>
      JSON.stringify({ kind: 'window', instanceId: instanceId(index + 1_000), began: 0 }),
    )
    const state = ['{"kind":"shield_state","version":1}', ...windows].join('\n')
    const { ask, agent } = await start(t, 'default: { seal: fetch }', state)
    t.equal(wordOf(await ask(get(userData))), '404 document_sealed')
    t.match(
      ((await agent.json('/ready')) as HealthReport).problems.filter(
        ({ part }) => part === 'shield',
      ),
      [{ code: 'seals_full', what: /100000 windows are kept/, remedy: /lines of kind "window"/ }],
    )
    t.match(await agent.text('/metrics'), /^overlapd_agent_shield_windows 100000$/m)
    const words = ['unseal', guest.instanceId ?? '', '--why', 'known', '--agent', agent.admin]
    t.equal(await runProgram(operatorProgram(), words, new FakeTerminal({})), 0)
    t.equal(wordOf(await ask(get(userData))), '200')
  },
)
