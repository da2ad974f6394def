/** Is a metadata client of a guest ever taken for something else, by a shield or by the report? */
import { execFileSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { operatorProgram } from '../../deploy/overlapd/operator-program.ts'
import { runProgram } from '../../lib/cli/command.ts'
import type { SeenRow, ShieldReport } from '../../lib/shield/seen-row.ts'
import type { RecordedClient } from '../support/client-requests.ts'
import { GuestSockets } from '../support/connect-from.ts'
import { FakeTerminal } from '../support/fake-terminal.ts'
import { startStage, type Stage } from '../support/guest-with-containers.ts'
import { linuxClients } from '../support/linux-clients.ts'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { RawConnection } from '../support/raw-http.ts'
import { setKernel } from '../support/segment.ts'
import { windowsClients } from '../support/windows-clients.ts'

type Family = 4 | 6

/** A client, where it runs, and by which address it connects. */
interface Run {
  readonly client: RecordedClient
  readonly netns: string
  readonly family: Family
}

/** Plays clients as they were recorded. */
class Player {
  readonly #sockets: GuestSockets
  readonly #indexes = new Map<string, number>()

  private constructor(sockets: GuestSockets) {
    this.#sockets = sockets
  }

  static async open(t: Test): Promise<Player> {
    const sockets = await GuestSockets.open()
    t.teardown(() => sockets.close())
    return new Player(sockets)
  }

  /** @returns of each request the status and our reason code */
  async play({ client, netns, family }: Run): Promise<readonly string[]> {
    const host = family === 4 ? '169.254.169.254' : client.ipv6Host!
    const words: string[] = []
    let [token, connection] = ['none', undefined as RawConnection | undefined]
    for (const recorded of client.requests) {
      if (connection === undefined || connection.isEnded || client.keepsConnection !== true) {
        connection?.close()
        connection = this.#connect(netns, family)
      }
      void connection.write(recorded.replace('{host}', host).replace('{token}', token))
      const answer = await connection.answer()
      if (answer === undefined) throw new Error(`No answer to ${client.family}`)
      if (recorded.startsWith('PUT ') && answer.status === 200) token = answer.body.toString()
      words.push(`${answer.status} ${answer.field('x-overlapd-reason') ?? ''}`.trim())
    }
    connection?.close()
    return words
  }

  #connect(netns: string, family: Family): RawConnection {
    const address = family === 4 ? '169.254.169.254' : 'fe80::a9fe:a9fe'
    return RawConnection.wrap(this.#sockets.connect(netns, address, 80, this.#index(netns)))
  }

  #index(netns: string): number {
    const known = this.#indexes.get(netns)
    if (known !== undefined) return known
    const shown = execFileSync('ip', ['-n', netns, '-o', 'link', 'show', 'eth0'])
    const index = Number.parseInt(shown.toString(), 10)
    this.#indexes.set(netns, index)
    return index
  }
}

function runsOf(clients: readonly RecordedClient[], netns: string): readonly Run[] {
  return clients.flatMap((client) => [
    { client, netns, family: 4 as const },
    ...(client.ipv6Host === undefined ? [] : [{ client, netns, family: 6 as const }]),
  ])
}

/** Linux behind one router, Windows behind the other. */
function runsOn({ guest, other }: Stage): readonly Run[] {
  setKernel(other.guest, ['net.ipv4.ip_default_ttl=128', 'net.ipv6.conf.eth0.hop_limit=128'])
  return [...runsOf(linuxClients, guest), ...runsOf(windowsClients, other.guest)]
}

function nameOf({ client, family }: Run): string {
  return `${client.family} over IPv${family}`
}

/** Whether a client gets by where tokens are enforced. */
function sendsTokens({ requests }: RecordedClient): boolean {
  return requests.some((one) => one.startsWith('PUT '))
}

/** As the report names whoever sends a request. */
function agentOf(request: string): string {
  return /^user-agent: *(.{1,80})/im.exec(request)?.[1] ?? '-'
}

function agentsOf(clients: readonly RecordedClient[], isWanted: (request: string) => boolean) {
  const wanted = clients.flatMap(({ requests }) => requests.filter(isWanted).map(agentOf))
  return [...new Set(wanted)].toSorted()
}

/** A request for a document that carries no token. */
function isBare(request: string): boolean {
  return !request.startsWith('PUT ') && !request.includes('{token}')
}

async function seenBy({ chain }: Stage): Promise<readonly SeenRow[]> {
  const terminal = new FakeTerminal({ PATH: '/nowhere' })
  await runProgram(operatorProgram(), ['shield', '--json', '--agent', chain.agentAdmin], terminal)
  return (JSON.parse(terminal.written().out) as ShieldReport).seen
}

/** Requests that shields other than that for tokens found something about, and those that were refused. */
async function findings({ chain }: Stage): Promise<readonly string[]> {
  const lines = (await chain.agentMetrics()).split('\n')
  return lines.filter(
    (line) =>
      line.startsWith('overlapd_agent_shield_findings_total{') &&
      !line.endsWith(' 0') &&
      !/shield="token".*action="observe"/.test(line),
  )
}

if (skipUnlessPrivileged(t)) {
  t.test('recorded clients', async (t) => {
    const stage = await startStage(t, '')
    const player = await Player.open(t)
    const runs = runsOn(stage)

    await t.test(
      'no recorded client of a guest is refused, and the report names each',
      async (t) => {
        const families = new Set(runs.map(({ client }) => client.family))
        t.ok(families.size >= 12, `${families.size} families, ${runs.length} runs`)
        const policies = [
          ['observed', ''],
          ['forwarded and host enforced', 'default: { forwarded: enforce, host: enforce }'],
        ] as const
        for (const [when, policy] of policies) {
          if (policy !== '') await stage.chain.setPolicy(policy)
          for (const run of runs) {
            const words = await player.play(run)
            // A document that is not there is Nova's to refuse, and so is a password that is there.
            const refused = words.filter((word) => !/^(?:200|404|409)$/.test(word))
            t.strictSame(refused, [], `${nameOf(run)}, ${when}: ${words.join()}`)
            t.ok(words.includes('200'), `${nameOf(run)} gets something, ${when}`)
          }
          t.strictSame(await findings(stage), [], when)
        }

        const rows = await seenBy(stage)
        for (const [clients, instanceId] of [
          [linuxClients, stage.instanceId],
          [windowsClients, stage.other.instanceId],
        ] as const) {
          const own = rows.filter((row) => row.instanceId === instanceId)
          const named = (isWanted: (row: SeenRow) => boolean): readonly string[] =>
            [...new Set(own.filter(isWanted).map(({ client }) => client))].toSorted()
          t.strictSame(
            named(() => true),
            agentsOf(clients, (one) => !one.startsWith('PUT ')),
          )
          t.strictSame(
            named(({ findings: { token } }) => token !== undefined),
            agentsOf(clients, isBare),
          )
        }
      },
    )

    await t.test(
      'of the recorded clients those pass that send a token, where that is enforced',
      async (t) => {
        await stage.chain.setPolicy('default: { token: enforce }')
        for (const run of runs) {
          const words = await player.play(run)
          const refused = words.filter((word) => word === '401 token_missing')
          if (sendsTokens(run.client)) t.strictSame(refused, [], nameOf(run))
          else t.strictSame(refused, words, nameOf(run))
        }
        const known = runs.filter(({ client }) => sendsTokens(client)).length
        t.ok(known >= 7, `${known} of ${runs.length} send tokens`)
      },
    )

    await t.test('the same bytes out of a container are refused, each time', async (t) => {
      await stage.chain.setPolicy('default: { forwarded: enforce }')
      for (const client of linuxClients) {
        const words = await player.play({ client, netns: stage.container, family: 4 })
        t.strictSame(
          words,
          words.map(() => '403 forwarded_in_guest'),
          client.family,
        )
      }
    })
  })
}
