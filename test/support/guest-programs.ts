/** With which programs do guests ask for metadata, and what must each of them make of our answers? */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'

/** What a guest's program is told to do. */
export interface GuestCommand {
  /** What has to be installed. */
  readonly program: string
  readonly what: string
  readonly words: readonly string[]
  /** What it prints, whole. */
  readonly prints: string | RegExp
  /** @default 0 */
  readonly code?: number
}

/** What the commands are about. */
export interface GuestFacts {
  /** `i-0000002a`. */
  readonly ec2Id: string
  readonly instanceId: string
  /** As latin1. */
  readonly userData: string
}

const ipv4 = 'http://169.254.169.254'
const ipv6 = 'http://[fe80::a9fe:a9fe%25eth0]'
const ec2Id = `${ipv4}/latest/meta-data/instance-id`
const token = `${ipv4}/latest/api/token`
const tokenHeader = 'X-aws-ec2-metadata-token-ttl-seconds: 21600'
const password = `${ipv4}/openstack/latest/password`

const http10 = [
  'import http.client as h',
  "c = h.HTTPConnection('169.254.169.254', 80, timeout=10)",
  "c._http_vsn, c._http_vsn_str = 10, 'HTTP/1.0'",
  "c.putrequest('GET', '/latest/meta-data/instance-id', skip_host=True, skip_accept_encoding=True)",
  'c.endheaders()',
  "print(c.getresponse().read().decode(), end='')",
].join('\n')
const bareShell =
  'exec 3<>/dev/tcp/169.254.169.254/80; printf "GET /latest/meta-data/instance-id HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3'

/** Old ones and new ones, by the ways in which they are known to be used in images. */
export function guestCommands(facts: GuestFacts): readonly GuestCommand[] {
  const curl = (what: string, words: readonly string[], prints: string | RegExp): GuestCommand => ({
    program: 'curl',
    what,
    words: ['curl', '-s', '--max-time', '10', ...words],
    prints,
  })
  const status = ['-o', '/dev/null', '-w', '%{http_code}']
  return [
    curl('as CirrOS calls it', ['--fail', '--retry', '3', ec2Id], facts.ec2Id),
    curl('in HTTP/1.0', ['--http1.0', ec2Id], facts.ec2Id),
    curl('with an upgrade to HTTP/2 on offer', ['--http2', ec2Id], facts.ec2Id),
    curl('over IPv6', ['-g', `${ipv6}/latest/meta-data/instance-id`], facts.ec2Id),
    curl(
      'twice on one connection',
      [ec2Id, `${ipv4}/openstack/latest/meta_data.json`],
      new RegExp(`^${facts.ec2Id}\\{.*"uuid": "${facts.instanceId}"`),
    ),
    curl(
      'with a careless path',
      ['--path-as-is', `${ipv4}//latest/./meta-data//instance-id/?x=%20&y`],
      facts.ec2Id,
    ),
    curl(
      'HEAD',
      ['-I', ec2Id],
      new RegExp(`^HTTP/1.1 200 OK\\r\\n[^]*content-length: ${facts.ec2Id.length}\\r\\n`),
    ),
    curl(
      'for a token, which Nova does not have',
      ['-XPUT', '-H', tokenHeader, token],
      /^[\w-]{56}$/,
    ),
    curl(
      'with a token nobody gave it',
      ['-H', 'X-aws-ec2-metadata-token: AQAAA', ec2Id],
      facts.ec2Id,
    ),
    curl('an empty value', ['-w', '%{http_code}', `${ipv4}/latest/meta-data/public-ipv4`], '200'),
    curl(
      'user data, willing to unpack',
      ['--compressed', `${ipv4}/openstack/latest/user_data`],
      facts.userData,
    ),
    curl('to leave its password', [...status, '-d', 'c2VjcmV0', password], '200'),
    curl('to leave another one', [...status, '-d', 'b3RoZXI=', password], '409'),
    curl('the password', [password], 'c2VjcmV0'),
    {
      program: 'wget',
      what: 'a listing',
      words: ['wget', '-q', '-T', '10', '-O', '-', `${ipv4}/latest/meta-data/public-keys/`],
      prints: '0=ops',
    },
    {
      program: 'wget',
      what: 'what is not there',
      words: ['wget', '-q', '-T', '10', '-t', '1', '-O', '-', `${ipv4}/latest/meta-data/iam/`],
      prints: '',
      code: 8,
    },
    {
      program: 'busybox',
      what: 'wget',
      words: ['busybox', 'wget', '-q', '-O', '-', ec2Id],
      prints: facts.ec2Id,
    },
    {
      program: 'busybox',
      what: 'wget of user data',
      words: ['busybox', 'wget', '-q', '-O', '-', `${ipv4}/latest/user-data`],
      prints: facts.userData,
    },
    {
      program: 'bash',
      what: 'without any program for HTTP',
      words: ['bash', '-c', bareShell],
      prints: new RegExp(`^HTTP/1.1 200 OK\\r\\n[^]*\\r\\n\\r\\n${facts.ec2Id}$`),
    },
    {
      program: 'python3',
      what: 'urllib',
      words: [
        'python3',
        '-c',
        `import urllib.request as u; print(u.urlopen('${ec2Id}', timeout=10).read().decode(), end='')`,
      ],
      prints: facts.ec2Id,
    },
    {
      program: 'python3',
      what: 'HTTP/1.0 without Host',
      words: ['python3', '-c', http10],
      prints: facts.ec2Id,
    },
  ]
}

/** True when a program can be started by its name. */
export function isInstalled(program: string): boolean {
  const folders = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`.split(':')
  return folders.some((folder) => isExecutable(join(folder, program)))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
