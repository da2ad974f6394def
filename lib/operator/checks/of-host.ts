/** Are the clock, the disks and the leftovers of this host a danger to the service? */
import { statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { processFacts, processLink, processNumbers } from '../../host/process-facts.ts'
import { remoteDate } from '../../host/remote-date.ts'
import type { Bytes, EpochMilliseconds, Milliseconds } from '../../runtime/clock.ts'
import { systemClock } from '../../runtime/clock.ts'
import { mappings, textOf } from '../answer-fields.ts'
import type { Finding } from '../finding.ts'
import { hostFinding, wellFinding } from '../host-codes.ts'
import type { HostFacts } from '../host-facts.ts'

/** Before this the software did not exist: a clock before it breaks TLS, caches and logs. */
const earliestSaneTime: EpochMilliseconds = Date.UTC(2025, 0, 1)
const latestSaneTime: EpochMilliseconds = Date.UTC(2100, 0, 1)
/** Keystone's tokens and certificates stand less than this; a date has whole seconds. */
const mostSkew: Milliseconds = 30_000
const answerLimit: Milliseconds = 3_000

/** Whether the clock agrees with the `Date` of compute and Keystone. Sends one request to each. */
export async function checkClock({ wallTime, daemons }: HostFacts): Promise<readonly Finding[]> {
  const shown = Number.isFinite(wallTime) ? new Date(wallTime).toISOString() : 'nothing'
  if (!(wallTime > earliestSaneTime && wallTime < latestSaneTime)) {
    return [hostFinding('clock_wrong', 'this host', `the clock shows ${shown}`)]
  }
  const agent = daemons.find(({ daemon }) => daemon === 'agent')
  const upstreams = mappings(agent?.status['upstreams']).map(({ url }) => textOf(url))
  const keystones = [...(agent?.check?.options ?? [])].flatMap(([path, value]) =>
    path.endsWith('auth_url') && typeof value === 'string' ? [value] : [],
  )
  const began = systemClock.now()
  const compared = await Promise.all(
    [...new Set([...upstreams, ...keystones])].map(async (url) => {
      const date = await remoteDate(url, answerLimit)
      const here = wallTime + (systemClock.now() - began)
      return date === undefined ? [] : skewFindings(url, here - date)
    }),
  )
  const findings = compared.flat()
  return findings.some(({ level }) => level === 'fail')
    ? findings
    : [wellFinding('clock', `the clock shows ${shown}${agreement(compared)}`)]
}

function skewFindings(url: string, skew: Milliseconds): readonly Finding[] {
  if (Math.abs(skew) <= mostSkew) return [wellFinding('clock', url)]
  const seconds = Math.round(Math.abs(skew) / 1_000)
  const what = `this host is ${seconds} s ${skew > 0 ? 'ahead of' : 'behind'} it`
  return [hostFinding('clock_wrong', url, what)]
}

function agreement(compared: readonly (readonly Finding[])[]): string {
  const agreeing = compared.flat().map(({ what }) => what)
  return agreeing.length === 0 ? '' : `, as ${agreeing.join(', ')} does`
}

const fullShare = 0.01
const lowShare = 0.05
const fullBytes: Bytes = 10 * 1024 * 1024

/** Where daemons write: their sockets and markers, and their logs. */
export function checkDisk({ daemons }: HostFacts): readonly Finding[] {
  const folders = [
    '/var/log',
    ...daemons.map(({ address }) => (address.startsWith('/') ? dirname(address) : '/run')),
    ...daemons.flatMap(({ process }) => {
      const log = process && processLink(process.pid, 'fd/1')
      return log?.startsWith('/') === true && !log.startsWith('/dev/') ? [dirname(log)] : []
    }),
  ]
  const seen = new Set<number>()
  const findings = folders.flatMap((folder) => {
    const device = statSync(folder, { throwIfNoEntry: false })?.dev
    if (device === undefined || seen.has(device)) return []
    seen.add(device)
    return spaceFindings(folder)
  })
  return findings.length > 0 ? findings : [wellFinding('disk', 'there is room for logs and state')]
}

function spaceFindings(folder: string): readonly Finding[] {
  const { bsize, blocks, bavail, files, ffree } = statfsSync(folder)
  const share = blocks === 0 ? 1 : bavail / blocks
  const left = `${(share * 100).toFixed(1)} % left`
  if (files > 0 && ffree === 0) return [hostFinding('disk_full', folder, 'no inode is left')]
  if (share < fullShare || (share < lowShare && bavail * bsize < fullBytes)) {
    return [hostFinding('disk_full', folder, left)]
  }
  return share < lowShare ? [hostFinding('disk_low', folder, left)] : []
}

/** @see neutron/agent/metadata/driver.py, agent/ovn/metadata/driver.py */
const configOfNeutron = /(?:ns-metadata-proxy|ovn-metadata-proxy)/

/** Whether haproxies of Neutron are left over beside the proxy. */
export function checkHaproxies(): readonly Finding[] {
  const left = processNumbers().filter((pid) => {
    const [program = '', ...words] = processFacts(pid)?.command ?? []
    return /(?:^|\/)haproxy$/.test(program) && words.some((word) => configOfNeutron.test(word))
  })
  if (left.length === 0) return []
  const some = left.slice(0, 5).join(', ')
  const what = `${left.length} haproxies of Neutron still run: process ${some}`
  return [hostFinding('haproxy_left', 'this host', what)]
}
