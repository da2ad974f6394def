/** Is this host fit for service? Each row looks at one thing around the daemons; what the daemons know themselves comes by their audit. */
import { checkConfiguration, checkDaemons, checkVersions } from './checks/of-daemons.ts'
import { checkClock, checkDisk, checkHaproxies } from './checks/of-host.ts'
import { checkKernel, checkLibrary, checkNamespaces, checkPorts } from './checks/of-namespaces.ts'
import { checkFiles, checkProcesses, checkSockets } from './checks/of-processes.ts'
import { fenceFindings } from './fence-findings.ts'
import type { Finding } from './finding.ts'
import type { HostFacts } from './host-facts.ts'

/** One thing to look at. A check never changes anything. */
export interface DoctorCheck {
  readonly name: string
  run(facts: HostFacts): readonly Finding[] | Promise<readonly Finding[]>
}

/** What `overlapd doctor` looks at, in this order. Add a check by adding a row. */
export const doctorChecks: readonly DoctorCheck[] = [
  { name: 'daemons', run: checkDaemons },
  { name: 'versions', run: checkVersions },
  { name: 'configuration', run: checkConfiguration },
  {
    name: 'fence',
    run: ({ daemons }) =>
      daemons
        .filter(({ daemon }) => daemon === 'agent')
        .flatMap(({ status }) => fenceFindings(status)),
  },
  { name: 'processes', run: checkProcesses },
  { name: 'files', run: checkFiles },
  { name: 'sockets', run: checkSockets },
  { name: 'nftables', run: checkLibrary },
  { name: 'kernel', run: checkKernel },
  { name: 'namespaces', run: checkNamespaces },
  { name: 'ports', run: checkPorts },
  { name: 'clock', run: checkClock },
  { name: 'disk', run: checkDisk },
  { name: 'haproxies', run: checkHaproxies },
]
