/** What do the shields keep from containers, and from those who make a web application fetch URLs, on a real host? */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { operatorProgram } from '../../deploy/overlapd/operator-program.ts'
import { runProgram } from '../../lib/cli/command.ts'
import type { ShieldReport } from '../../lib/shield/seen-row.ts'
import { FakeTerminal } from '../support/fake-terminal.ts'
import {
  guestEc2Id as ec2Id,
  guestSecret as secret,
  startStage as start,
} from '../support/guest-with-containers.ts'
import { guestCommands, isInstalled } from '../support/guest-programs.ts'
import { runInNetns, skipUnlessPrivileged, type Ran } from '../support/netns.ts'
import { setKernel } from '../support/segment.ts'
import { ssrfRequests } from '../support/ssrf-requests.ts'
import type { WholeChain } from '../support/whole-chain.ts'

const ipv4 = 'http://169.254.169.254'
const ipv6 = 'http://[fe80::a9fe:a9fe%25eth0]'
const userData = '/openstack/latest/user_data'

function curl(netns: string, ...words: string[]): Promise<Ran> {
  return runInNetns(netns, ['curl', '-sg', '--max-time', '2', ...words])
}

/** The status and our reason code, or `silence`. */
async function wordOf(netns: string, ...words: string[]): Promise<string> {
  const format = '\n%{http_code} %header{x-overlapd-reason}'
  const ran = await curl(netns, '-w', format, '-o', '/dev/null', ...words)
  return ran.code === 0 ? ran.stdout.trim() : 'silence'
}

async function tokenOf(netns: string): Promise<Ran> {
  const life = 'X-aws-ec2-metadata-token-ttl-seconds: 60'
  return await curl(netns, '-f', '-X', 'PUT', '-H', life, `${ipv4}/latest/api/token`)
}

/** What `overlapd` prints about the agent. */
async function operator(command: string, flag: string, chain: WholeChain): Promise<string> {
  const terminal = new FakeTerminal({ PATH: '/nowhere' })
  await runProgram(operatorProgram(), [command, flag, '--agent', chain.agentAdmin], terminal)
  return terminal.written().out
}

/** The real clients take long to start. */
const takesAll = process.env['OVERLAPD_TEST_SLOW'] === '1'
const slow = { skip: takesAll ? false : 'many programs: npm run test:shield' }

const field = 'X-aws-ec2-metadata-token'
/** Debian's, which has cloud-init. */
const python = '/usr/bin/python3'
const hasCloudInit = existsSync('/usr/lib/python3/dist-packages/cloudinit')
const [sdkGuest, cloudInitEc2, cloudInitOpenstack] = [
  '../support/sdk-guest.mjs',
  '../support/cloud-init-ec2.py',
  '../openstack/scripts/cloud_init.py',
].map((path) => fileURLToPath(new URL(path, import.meta.url))) as [string, string, string]
const sdk = [process.execPath, sdkGuest] as const

if (skipUnlessPrivileged(t)) {
  t.test('the guest itself is served, and what is behind it is not', async (t) => {
    const { chain, guest, container, bridged } = await start(t, '')
    t.equal(await wordOf(container, `${ipv4}${userData}`), '200', 'while that is observed')

    const near = async (): Promise<string> =>
      (await runInNetns(guest, ['nft', 'list', 'counter', 'inet', 'docker', 'near'])).stdout
    t.match(await near(), /packets 0 /)
    await chain.setPolicy('default: { forwarded: enforce }')
    t.equal(await wordOf(guest, `${ipv4}${userData}`), '200')
    t.equal(await wordOf(guest, `${ipv6}${userData}`), '200')
    t.equal(await wordOf(container, `${ipv4}${userData}`), '403 forwarded_in_guest')
    t.match(await wordOf(bridged, `${ipv4}${userData}`), /^404 /, 'it is no port')
    for (const ttl of [128, 255]) {
      setKernel(guest, [`net.ipv4.ip_default_ttl=${ttl}`])
      t.equal(await wordOf(guest, `${ipv4}${userData}`), '200', `as a system sends with ${ttl}`)
    }
    setKernel(guest, ['net.ipv4.ip_default_ttl=64', 'net.ipv6.conf.eth0.hop_limit=63'])
    t.equal(await wordOf(guest, `${ipv6}${userData}`), '403 forwarded_in_guest', 'over IPv6')
    setKernel(guest, ['net.ipv6.conf.eth0.hop_limit=64'])
    t.match(await near(), /packets [1-9]/, 'answers over IPv6 go no further than the guest')

    // A program may raise the hop limit of its own packets, but not that of the answer.
    setKernel(container, ['net.ipv4.ip_default_ttl=65'])
    t.equal(await wordOf(container, `${ipv4}${userData}`), 'silence')
    t.equal((await tokenOf(container)).stdout, '', 'and no token')
    await chain.setPolicy('default: { forwarded: enforce, hop_limit: 2 }')
    t.equal(await wordOf(container, `${ipv4}${userData}`), '200', 'where containers are wanted')
    t.match((await tokenOf(container)).stdout, /^[\w-]{56}$/)
  })

  t.test('no client of a guest is taken for a container', slow, async (t) => {
    const { guest, instanceId } = await start(t, 'default: { forwarded: enforce, host: enforce }')
    const commands = guestCommands({ ec2Id, instanceId, userData: secret })
    let tried = 0
    // The password is set already.
    for (const { program, what, words, prints, code = 0 } of commands) {
      if (!isInstalled(program) || /password|to leave/.test(what)) continue
      const ran = await runInNetns(guest, words)
      tried += 1
      t.equal(ran.code, code, `${program}, ${what}: ${ran.stderr}`)
      if (typeof prints === 'string') t.equal(ran.stdout, prints, `${program}, ${what}`)
      else t.match(ran.stdout, prints, `${program}, ${what}`)
    }
    t.ok(tried >= 12, `${tried} ways to request`)
    const more: readonly (readonly [string, ...string[]])[] = [
      ['ec2metadata', '--instance-id'],
      ['ec2-metadata', '--instance-id'],
      [...sdk, '/latest/meta-data/instance-id'],
      [python, cloudInitEc2],
      [python, cloudInitOpenstack, ipv4],
      [python, cloudInitOpenstack, 'http://[fe80::a9fe:a9fe%eth0]'],
    ]
    for (const words of more) {
      if (words[0] === python ? !hasCloudInit : words[0] !== sdk[0] && !isInstalled(words[0]))
        continue
      const ran = await runInNetns(guest, words)
      t.match(ran, { code: 0, stdout: /i-00000042|"accepted": true/ }, words.join(' '))
    }
  })

  t.test('with tokens enforced exactly those are refused that have none', slow, async (t) => {
    const { chain, guest, instanceId } = await start(t, '')
    const busybox = ['busybox', 'wget', '-q', '-O', '-']
    const id = `${ipv4}/latest/meta-data/instance-id`
    // Debian's cloud-guest-utils and amazon-ec2-utils: without a token they give up.
    const insisting = [
      ['ec2metadata', `${ec2Id}\n`],
      ['ec2-metadata', `instance-id: ${ec2Id}\n`],
    ] as const
    for (const [program] of insisting) {
      if (!isInstalled(program)) t.comment(`${program} is not installed and was not tried`)
    }
    const withTokens = async (when: string): Promise<void> => {
      const { stdout: token } = await tokenOf(guest)
      t.match(token, /^[\w-]{56}$/, `curl gets a token, ${when}`)
      t.equal((await curl(guest, '-H', `${field}: ${token}`, id)).stdout, ec2Id, `curl, ${when}`)
      const header = ['--header', `${field}: ${token}`]
      if (isInstalled('busybox')) {
        t.equal(
          (await runInNetns(guest, [...busybox, ...header, id])).stdout,
          ec2Id,
          `busybox, ${when}`,
        )
      }
      for (const [program, prints] of insisting) {
        if (!isInstalled(program)) continue
        const shown = await runInNetns(guest, [program, '--instance-id'])
        t.equal(shown.stdout, prints, `${program}, ${when}: ${shown.stderr}`)
      }
      const ran = await runInNetns(guest, [
        ...sdk,
        '/latest/meta-data/instance-id',
        '/latest/user-data',
      ])
      t.equal(ran.stdout, `${ec2Id}${secret}`, `the client of AWS, ${when}: ${ran.stderr}`)
      if (!hasCloudInit) return
      const found = await runInNetns(guest, [python, cloudInitEc2])
      t.match(
        JSON.parse(found.stdout || '{}'),
        { accepted: true, instanceId: ec2Id, userData: secret },
        `cloud-init as Ec2, ${when}: ${found.stderr}`,
      )
    }
    const accepts = async (): Promise<unknown> => {
      const ran = await runInNetns(guest, [python, cloudInitOpenstack, ipv4])
      return (JSON.parse(ran.stdout) as { accepted: boolean }).accepted
    }
    if (!hasCloudInit) t.comment('cloud-init is not installed and was not tried')

    await withTokens('observed')
    const withoutTokens = async (when: string): Promise<void> => {
      t.equal((await curl(guest, id)).stdout, ec2Id, `curl without a token, ${when}`)
      if (hasCloudInit) t.equal(await accepts(), true, `cloud-init as OpenStack, ${when}`)
    }
    await withoutTokens('observed')

    const { seen } = JSON.parse(await operator('shield', '--json', chain)) as ShieldReport
    const without = seen.filter(({ findings }) => findings.token !== undefined)
    const names = new Set(without.map(({ client }) => client.replace(/\/.*/, '')))
    t.strictSame([...names].toSorted(), hasCloudInit ? ['Cloud-Init', 'curl'] : ['curl'])
    const isReady = seen.some(
      ({ client, findings }) => client.startsWith('Wget') && !findings.token,
    )
    t.equal(isReady, isInstalled('busybox'), 'busybox has sent tokens each time')
    await chain.setPolicy(await operator('shield', '--suggest', chain))
    await withTokens('as suggested')
    await withoutTokens('as suggested')
    t.equal((await chain.agentMetrics()).match(/findings_total.*enforce"} [1-9]/), null)

    await chain.setPolicy('default: { token: enforce }')
    await withTokens('enforced')
    const refused = await curl(guest, '-i', id)
    t.match(refused.stdout, /^HTTP\/1\.1 401 /)
    t.match(refused.stdout, /PUT \/latest\/api\/token/, 'it says what to do')
    if (isInstalled('busybox')) t.equal((await runInNetns(guest, [...busybox, id])).stdout, '')
    if (hasCloudInit) t.equal(await accepts(), false, 'cloud-init as OpenStack has no token')
    t.ok(instanceId)
  })

  t.test(
    'forty requests that a vulnerable application can be made to send get nothing',
    async (t) => {
      const { chain, guest } = await start(t, '')
      const requests = ssrfRequests()
      t.equal(requests.length, 40)
      const script = [
        'import json, socket, sys',
        'for request in json.load(sys.stdin):',
        "    s = socket.create_connection(('169.254.169.254', 80), 5)",
        "    s.sendall(request.encode('latin1'))",
        "    answer = b''",
        '    while part := s.recv(65536): answer += part',
        "    print(json.dumps(answer.decode('latin1')))",
      ].join('\n')
      const send = async (): Promise<readonly string[]> => {
        const ran = await runInNetns(guest, ['python3', '-c', script], JSON.stringify(requests))
        t.equal(ran.code, 0, ran.stderr)
        return ran.stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as string)
      }
      const isServed = (answer: string): boolean => /^HTTP\/1\.\d 200 /.test(answer)
      const served = (await send()).filter(isServed).length
      t.ok(served >= 30, `${served} of them get something while that is observed`)

      await chain.setPolicy('default: { token: enforce, forwarded: enforce, host: enforce }')
      const answers = await send()
      t.equal(answers.length, 40)
      t.strictSame(answers.filter(isServed), [])
      t.strictSame(
        answers.filter((answer) => /hunter2|c2VjcmV0|ssh-ed25519/.test(answer)),
        [],
      )
    },
  )
}
