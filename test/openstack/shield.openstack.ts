/** Does a policy of the shield hold for real instances, from the guest's request by our proxy and agent to Nova and back? */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { operatorProgram } from '../../deploy/overlapd/operator-program.ts'
import { runProgram } from '../../lib/cli/command.ts'
import type { Explanation } from '../../lib/operator/explanation.ts'
import { FakeTerminal } from '../support/fake-terminal.ts'
import type { RawAnswer } from '../support/raw-http.ts'
import { runningCloud } from './cloud.ts'
import { NeutronApi } from './neutron-api.ts'
import { GuestNetworks, type IpFamily, type PlacedGuest } from './guest-networks.ts'
import { portsSections, secretFile, startAgent, startProxy } from './overlapd.ts'
import { addResult } from './results.ts'

const { place, guests } = runningCloud()
const userData = '/openstack/latest/user_data'
const identity = '/openstack/latest/meta_data.json'
const tokenField = 'X-aws-ec2-metadata-token'
const life = [`${tokenField}-ttl-seconds`, '60'] as const

t.test(
  'what a policy enforces for a network holds for its instance, and for no other',
  async (t) => {
    const networks = await GuestNetworks.make(t, place, guests, 'ml2')
    const [a, b] = networks.guests as readonly [PlacedGuest, PlacedGuest]
    const policy = `rules: [{ network: ${a.guest.network.id}, token: { user_data: enforce } }]`
    const file = secretFile(place, 'shield.yaml', policy)
    const agent = startAgent(t, place, {
      ports: portsSections.neutronRest(place),
      sections: { shield: { policy_file: file, network_tags: true } },
    })
    await agent.untilReady()
    const proxy = await startProxy(t, place, networks, agent.socketOf('overlapd'))

    /** `overlapd` as its operator runs it. */
    const overlapd = async (...words: string[]): Promise<{ code: number; out: string }> => {
      const terminal = new FakeTerminal({ PATH: '/nowhere', NO_COLOR: '1' })
      const code = await runProgram(
        operatorProgram(),
        [...words, '--agent', agent.adminSocket],
        terminal,
      )
      return { code, out: terminal.written().out }
    }
    const ask = (
      placed: PlacedGuest,
      path: string,
      family: IpFamily,
      token?: string,
    ): Promise<RawAnswer> => {
      const fields = token === undefined ? [] : [[tokenField, token] as const]
      const agentField = ['User-Agent', token === undefined ? 'tokenless/1' : 'careful/1'] as const
      return networks.ask(placed, path, { family, fields: [agentField, ...fields] })
    }
    const wordOf = (answer: RawAnswer): string =>
      `${answer.status} ${answer.field('x-overlapd-reason') ?? ''}`.trim()

    const genuine = (await ask(b, userData, 4)).body.toString()
    t.match(genuine, /^#/, 'without a rule, as Nova has it')
    for (const family of [4, 6] as const) {
      const refused = await ask(a, userData, family)
      t.equal(wordOf(refused), '401 token_missing', `IPv${family}`)
      t.match(refused.body.toString(), /PUT \/latest\/api\/token/, 'it says what to do')
      t.equal(wordOf(await ask(a, identity, family)), '200', 'which the rule does not name')
      const made = await networks.ask(a, '/latest/api/token', {
        family,
        method: 'PUT',
        fields: [life],
      })
      t.match(made.body.toString(), /^[\w-]{56}$/, 'where Nova has no such path')
      const token = made.body.toString()
      const served = await ask(a, userData, family, token)
      t.equal(wordOf(served), '200', 'with its token')
      t.match(served.body.toString(), /^#/)
      t.equal(wordOf(await ask(b, userData, family, token)), '200', 'observed alone')
      t.equal(
        wordOf(await ask(a, userData, family, `${token.slice(0, -4)}AAAA`)),
        '401 token_invalid',
      )

      const { out } = await overlapd(
        'explain',
        '--request',
        String(refused.field('x-request-id')),
        '--json',
      )
      const { steps } = JSON.parse(out) as Explanation
      t.match(steps.find(({ step }) => step === 'shield')?.detail, {
        token: `token_missing: refused for user_data (network ${a.guest.network.id})`,
      })
    }

    const suggested = await overlapd('shield', '--suggest')
    t.equal(suggested.code, 0)
    t.match(suggested.out, new RegExp(`project: '${a.guest.instance.projectId}'`))
    const suggestion = join(networks.folder, 'suggested.yaml')
    writeFileSync(suggestion, suggested.out)
    t.match(await overlapd('shield', '--policy', suggestion), {
      code: 0,
      out: /would refuse nothing/,
    })
    const used = (): Promise<number> =>
      agent.metric('overlapd_agent_shield_files_total{file="policy",outcome="used"}')
    const before = await used()
    writeFileSync(file, suggested.out)
    await agent.until('the suggested policy', async () => (await used()) > before)
    for (const placed of [a, b]) {
      t.equal(wordOf(await ask(placed, userData, 4)), '200', 'as suggested, nobody seen is refused')
    }

    const api = new NeutronApi(place, 'neutron')
    const tag = 'overlapd:user_data:token=enforce'
    const tagPath = `/networks/${b.guest.network.id}/tags/${encodeURIComponent(tag)}`
    await api.send('PUT', tagPath)
    const becomes = (word: string): Promise<void> =>
      agent.until(`a tag: ${word}`, async () => wordOf(await ask(b, userData, 4)) === word)
    await becomes('401 token_missing')
    t.equal(wordOf(await ask(a, userData, 4)), '200', 'a tag is for its own network')
    const shown = await ask(b, userData, 4)
    const explained = await overlapd('explain', '--request', String(shown.field('x-request-id')))
    t.match(explained.out, `network tag ${tag}`)
    await api.send('DELETE', tagPath)
    await becomes('200')
    addResult(place, 'Shield: user data for tokens alone', {
      guest: `${a.guest.name}, IPv4 and IPv6`,
      'without a token': '401 token_missing',
      'with one': 'its own',
      suggested: 'refuses nobody seen',
      'a tag of its network': '401 token_missing, until it is removed',
    })
    await proxy.stop()
  },
)
