import { join } from 'node:path'
import type { Test } from 'tap'
import { uniqueName } from '../../support/netns.ts'
import { run, startDaemon, stopDaemon, untilReady } from '../daemon.ts'
import type { Place } from '../place.ts'
import { hostName } from './host-name.ts'

/**
 * Starts the database of a local Open vSwitch that knows the name of its chassis, until the test ends. There is no switch.
 * @returns where it is, as OVN's options want it
 */
export async function startLocalSwitch(t: Test, place: Place): Promise<string> {
  const name = uniqueName('local-switch-')
  const file = join(place.folder, 'ovn', `${name}.db`)
  const socket = `unix:${join(place.folder, 'ovn', `${name}.sock`)}`
  await run('ovsdb-tool', ['create', file, '/usr/share/openvswitch/vswitch.ovsschema'])
  startDaemon(place, {
    name,
    program: '/usr/sbin/ovsdb-server',
    arguments: [file, `--remote=p${socket}`, `--unixctl=${file}.ctl`, '--no-chdir'],
    environment: { OVS_RUNDIR: join(place.folder, 'ovn') },
  })
  t.teardown(() => stopDaemon(place, name))
  const row = { external_ids: ['map', [['system-id', hostName]]] }
  const insert = JSON.stringify(['Open_vSwitch', { op: 'insert', table: 'Open_vSwitch', row }])
  await untilReady(place, name, async () => {
    await run('ovsdb-client', ['--timeout=3', 'wait', socket, 'Open_vSwitch', 'connected'])
    return true
  })
  await run('ovsdb-client', ['--timeout=10', 'transact', socket, insert])
  return socket
}
