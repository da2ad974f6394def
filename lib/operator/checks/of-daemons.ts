/** Do both daemons run, as what is installed and configured? */
import { existsSync } from 'node:fs'
import { defaultConfigFiles } from '../../config/defaults.ts'
import { readYamlFile } from '../../files/yaml.ts'
import { causeText } from '../../runtime/errors.ts'
import { packageVersion } from '../../runtime/package-version.ts'
import type { EpochMilliseconds } from '../../runtime/clock.ts'
import { textOf } from '../answer-fields.ts'
import { configFilesOf } from '../daemon-check.ts'
import type { Finding } from '../finding.ts'
import { hostFinding, wellFinding } from '../host-codes.ts'
import type { DaemonFacts, HostFacts } from '../host-facts.ts'

/** Problems of a daemon that answers come by its audit. */
export function checkDaemons({ daemons }: HostFacts): readonly Finding[] {
  return daemons.map(({ daemon, health }) => {
    if (health.reachable) {
      const proof = health.served.guest ?? health.served.canary
      const served = proof === undefined ? 'no guest has been served yet' : `served at ${proof}`
      return wellFinding('daemons', `${daemon} answers, ${health.state}; ${served}`)
    }
    const isForbidden = /may not open/.test(health.why)
    return hostFinding(isForbidden ? 'admin_forbidden' : `${daemon}_down`, daemon, health.why)
  })
}

/** When versions of Node got their last fix, by their first number. @see https://github.com/nodejs/Release */
const endsOfNode: Readonly<Record<number, EpochMilliseconds>> = {
  18: Date.UTC(2025, 3, 30),
  20: Date.UTC(2026, 3, 30),
  22: Date.UTC(2027, 3, 30),
  24: Date.UTC(2028, 3, 30),
}

/** Whether both daemons are of the version of this program, and their Node is one that gets fixes. */
export function checkVersions({ daemons, wallTime }: HostFacts): readonly Finding[] {
  const installed = packageVersion()
  const running = daemons.filter(({ status }) => textOf(status['version']) !== '')
  const findings = running.flatMap(({ daemon, status }) => {
    const version = textOf(status['version'])
    const node = textOf(status['node'])
    const end = endsOfNode[Number(/^v(\d+)\./.exec(node)?.[1])]
    const isOld = version !== installed
    return [
      ...(isOld
        ? [hostFinding('version_differs', daemon, `runs ${version}, and ${installed} is installed`)]
        : []),
      ...(end !== undefined && end < wallTime ? [hostFinding('node_ended', daemon, node)] : []),
    ]
  })
  return findings.length > 0 || running.length === 0
    ? findings
    : [wellFinding('versions', `${installed}, by a current Node`)]
}

/** What `check` finds in the configuration of each daemon, as the account that it runs as. */
export function checkConfiguration({ daemons, configFiles }: HostFacts): readonly Finding[] {
  return [...configFiles.map(fileFinding), ...daemons.flatMap(checkFindings)]
}

function fileFinding(file: string): Finding {
  if (!existsSync(file)) {
    return wellFinding(
      'configuration',
      `${file} does not exist; defaults and the environment apply`,
    )
  }
  try {
    readYamlFile(file)
    return wellFinding('configuration', `${file} can be read`)
  } catch (cause) {
    return hostFinding('config_invalid', file, causeText(cause))
  }
}

function checkFindings({ daemon, check, process }: DaemonFacts): readonly Finding[] {
  if (check === undefined) return []
  const named = configFilesOf(daemon, process).filter((file) => file !== defaultConfigFiles[daemon])
  const command = [`overlapd-${daemon} check`, ...named.map((file) => `-c ${file}`)].join(' ')
  const account = `"${command}"`
  const remedy = `${account}, until it reports nothing.`
  return [
    ...check.problems.map((what) => hostFinding('config_invalid', account, what, remedy)),
    ...check.warnings.map((what) => hostFinding('config_warning', account, what)),
  ]
}
