/** What an operator does with the archive on a host without the package: what its notes say. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from '../support/source-files.ts'
import type { Machine } from './machine.ts'
import { serveGuest } from './operator-day.ts'
import type { Steps } from './steps.ts'

/** @param archive what `npm run package` made */
export async function archiveDay(machine: Machine, steps: Steps, archive: string): Promise<void> {
  machine.copy(archive, '/srv/overlapd.tar.gz')
  const notes = readFileSync(join(projectRoot, 'deploy/packages/INSTALL.md'), 'utf8')
  const typed = /```sh\n([^]*?)```/.exec(notes)?.[1] ?? ''
  await steps.run('the archive is installed as its notes say', () => {
    machine.must('apt-get -q update && apt-get -q -y install libnftables1 iproute2')
    machine.must('mkdir /srv/archive && tar -xzf /srv/overlapd.tar.gz -C /srv/archive')
    return machine.must(`set -e; cd /srv/archive/*; ${typed}`).trim()
  })
  await steps.run('the demo serves its guests, and leaves no namespace', () => {
    const [last = ''] = machine.must('overlapd demo --once').trim().split('\n').slice(-1)
    const left = machine.must('ip netns list')
    if (left !== '') throw new Error(left)
    return last
  })
  await steps.run('a guest is served from the archive', async () => serveGuest(machine))
  await steps.run('zsh and fish read the completions', () => {
    machine.must('DEBIAN_FRONTEND=noninteractive apt-get -q -y install zsh fish')
    machine.must(
      'for file in /usr/share/zsh/vendor-completions/_overlapd*; do zsh -n "$file"; done',
    )
    machine.must('fish -n /usr/share/fish/vendor_completions.d/overlapd*')
    const offered = machine.must(`fish -c 'complete -C "overlapd exp"'`)
    if (!offered.startsWith('explain')) throw new Error(offered)
  })
}
