import { writeFileSync } from 'node:fs'
import t from 'tap'
import { doctorChecks, type DoctorContext } from '../../../lib/operator/doctor-checks.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const context: DoctorContext = {
  addressOf: () => '/nowhere/admin.sock',
  configFiles: [],
  netnsFolder: '/nowhere',
  wallTime: Date.UTC(2026, 5, 1),
}

async function find(name: string, more: Partial<DoctorContext>) {
  const check = doctorChecks.find((each) => each.name === name)!
  return await check.run({ ...context, ...more })
}

t.test('the clock check refuses times that cannot be', async (t) => {
  t.match(await find('clock', {}), [{ level: 'ok' }])
  for (const wallTime of [0, Date.UTC(2024, 0, 1), Date.UTC(2200, 0, 1), Number.NaN]) {
    t.match(await find('clock', { wallTime }), [{ level: 'fail', remedy: /NTP/ }])
  }
})

t.test('the namespaces check tells of mounts that do not spread', async (t) => {
  const folder = scratchFolder(t)
  const table = `${folder}/mountinfo`
  const found = async (...lines: readonly string[]) => {
    writeFileSync(table, `${lines.join('\n')}\n`)
    return (await find('namespaces', { netnsFolder: folder, mountTable: table })).slice(1)
  }
  const root = (tag: string): string => `28 1 8:1 / / rw,relatime ${tag}- ext4 /dev/sda1 rw`
  const mine = (tag: string): string => `90 28 0:5 / ${folder} rw ${tag}- tmpfs tmpfs rw`
  t.strictSame(await found(root('shared:1 ')), [])
  t.strictSame(await found(root('master:1 ')), [])
  t.match(await found(root('')), [{ level: 'warn', what: /^the mount \/ is not shared/ }])
  t.match(await found(root('shared:1 '), mine('')), [{ level: 'warn', remedy: /--make-shared/ }])
  t.strictSame(await found(root(''), mine('shared:7 ')), [])
  t.match(await found(root(''), '91 28 0:6 / /other rw shared:8 - tmpfs tmpfs rw'), [{}])
})

t.test('the nftables check names the package where the library is missing', async (t) => {
  const folder = scratchFolder(t)
  const found = () => find('nftables', { libraryFolders: ['/nowhere', folder] })
  t.match(await found(), [{ level: 'warn', remedy: /libnftables1 \(Debian/ }])
  writeFileSync(`${folder}/libnftables.so.1`, '')
  t.match(await found(), [{ level: 'ok' }])
})

t.test('the namespaces check counts what is there', async (t) => {
  const folder = scratchFolder(t)
  for (const name of ['qrouter-1', 'ovnmeta-2', 'other']) writeFileSync(`${folder}/${name}`, '')
  t.match(await find('namespaces', { netnsFolder: folder }), [
    { level: 'ok', what: `${folder} has 3 namespaces, 2 of Neutron's` },
  ])
})

t.test('the configuration check takes a missing file for what it is', async (t) => {
  t.match(await find('configuration', { configFiles: ['/nowhere/x.yaml'] }), [
    { level: 'ok', what: /does not exist; defaults/ },
  ])
})
