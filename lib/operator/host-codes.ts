/** What may doctor report of a host, beside what its daemons report of themselves? */
import { daemonCodes, type FindingRow } from './finding-codes.ts'
import type { Finding } from './finding.ts'

/** Codes of what is around the daemons. */
export const hostCodes = {
  proxy_down: {
    level: 'fail',
    effect: 'No guest on this host is served.',
    remedy: '"systemctl start overlapd-proxy"; "journalctl -u overlapd-proxy" shows why it ended.',
  },
  agent_down: {
    level: 'fail',
    effect: 'Every guest of this host gets 503 agent_unreachable.',
    remedy:
      '"systemctl start overlapd-agent"; "journalctl -u overlapd-agent" shows why it ended. With a central agent elsewhere, nothing: use --only proxy.',
  },
  admin_forbidden: {
    level: 'fail',
    effect: 'None: this command cannot look.',
    remedy: '"sudo overlapd doctor".',
  },
  version_differs: {
    level: 'warn',
    effect: 'None, but what runs is not what is installed.',
    remedy: '"systemctl restart overlapd-agent overlapd-proxy"; no guest notices.',
  },
  node_ended: {
    level: 'warn',
    effect: 'None yet: this version of Node gets no security fixes any more.',
    remedy: 'Install the package of overlapd, which carries a current Node, or a current Node.',
  },
  config_invalid: {
    level: 'fail',
    effect: 'The daemon does not start again after its next stop.',
    remedy: '"overlapd-proxy check" or "overlapd-agent check", until it reports nothing.',
  },
  config_warning: {
    level: 'warn',
    effect: 'What is configured is not what happens.',
    remedy: 'Correct the option that is named.',
  },
  socket_closed: {
    level: 'fail',
    effect: 'Requests of guests end at this socket with 503.',
    remedy: 'Correct owner and mode of the listener in agent.yaml, and restart the agent.',
  },
  socket_exposed: {
    level: 'warn',
    effect: 'None. Other accounts of the host can read names of ports and instances.',
    remedy: '"chmod 0600" the socket, and set admin.mode.',
  },
  files_limit: {
    level: 'warn',
    effect: 'Soon new namespaces and connections get nothing.',
    remedy: 'Raise LimitNOFILE= ("systemctl edit" the unit), then restart the daemon.',
  },
  kernel_old: {
    level: 'warn',
    effect: 'Source MACs are not known: addresses alone decide who a guest is.',
    remedy: 'Boot Linux 5.10 or newer.',
  },
  namespaces_unseen: {
    level: 'warn',
    effect: 'No guest is served, if there are networks on this host.',
    remedy:
      'Nothing, before the first network reaches this host. In a container, mount /run/netns of the host with propagation.',
  },
  mount_not_shared: {
    level: 'warn',
    effect: 'Guests of namespaces that are made from now on get no answer.',
    remedy: '"mount --make-rshared /run/netns" on the host, then restart the proxy.',
  },
  clock_wrong: {
    level: 'fail',
    effect: 'Certificates and tokens are refused, so guests may get 503.',
    remedy: '"timedatectl set-ntp true"; "chronyc makestep" sets the clock at once.',
  },
  disk_full: {
    level: 'fail',
    effect: 'Logs are lost, and daemons that are restarted may not start.',
    remedy: '"journalctl --vacuum-size=200M", or remove what fills the file system.',
  },
  disk_low: {
    level: 'warn',
    effect: 'None yet: there is still some room.',
    remedy: '"journalctl --vacuum-size=200M", or remove what fills the file system.',
  },
  check_failed: {
    level: 'warn',
    effect: 'None: this command could not look.',
    remedy: 'Run "sudo overlapd doctor". If that is how it was run, report it.',
  },
} as const satisfies Record<string, FindingRow>

/** Every code of health, doctor and audit. */
export const findingCodes = { ...daemonCodes, ...hostCodes } as const

/** A finding of doctor with everything that its code stands for. */
export function hostFinding(
  code: keyof typeof findingCodes,
  about: string,
  what: string,
  remedy?: string,
): Finding {
  const row: FindingRow = findingCodes[code]
  return { ...row, code, about, what, remedy: remedy ?? row.remedy }
}

/** What is as it should be. */
export function wellFinding(code: string, what: string): Finding {
  return { level: 'ok', code, what }
}
