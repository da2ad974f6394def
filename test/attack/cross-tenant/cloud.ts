/** Where an agent learns of ports in the cross-tenant attack: a file, OVN's southbound database, Neutron over RabbitMQ. */
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Topology } from '../../conformance/topology.ts'
import { FakeNeutronRpc } from '../../support/fake-neutron-rpc.ts'
import { FakeOvsdb } from '../../support/fake-ovsdb.ts'
import { southboundRows } from '../../support/ovn-rows.ts'
import { startRabbitMq } from '../../support/rabbitmq.ts'
import { staticFileText } from '../../support/static-file.ts'
import type { Teardowns } from '../../support/teardowns.ts'

/** A cloud whose ports can be changed. */
export interface Cloud {
  readonly kind: 'static' | 'ovn' | 'neutron-rpc'
  /** The section `ports` of an agent's configuration. */
  readonly ports: Readonly<Record<string, unknown>>
  /** Makes the cloud hold exactly this, at once, and tells whoever listens. */
  set(topology: Topology): void
}

/** Each of those that can be had on this machine; a cloud is opened when it is first wanted. */
export function openClouds(t: Teardowns, folder: string): readonly (() => Promise<Cloud>)[] {
  const hasBroker = existsSync('/usr/lib/rabbitmq/bin/rabbitmq-server')
  return [
    once(async () => staticCloud(folder)),
    once(() => ovnCloud(t)),
    ...(hasBroker ? [once(() => rpcCloud(t, folder))] : []),
  ]
}

function once(open: () => Promise<Cloud>): () => Promise<Cloud> {
  let opened: Promise<Cloud> | undefined
  return () => (opened ??= open())
}

function staticCloud(folder: string): Cloud {
  const file = join(folder, 'ports.json')
  return {
    kind: 'static',
    ports: { kind: 'static', static: { file } },
    set(topology) {
      writeFileSync(`${file}.new`, staticFileText(topology), { mode: 0o644 })
      renameSync(`${file}.new`, file)
    },
  }
}

async function ovnCloud(t: Teardowns): Promise<Cloud> {
  const database = await FakeOvsdb.open()
  t.teardown(() => database.close())
  return {
    kind: 'ovn',
    ports: { kind: 'ovn', ovn: { ovn_sb_connection: [`unix:${database.path}`] } },
    set: (topology) => database.setTables(southboundRows(topology)),
  }
}

async function rpcCloud(t: Teardowns, folder: string): Promise<Cloud> {
  const rabbit = await startRabbitMq()
  t.teardown(() => rabbit.close())
  const neutron = new FakeNeutronRpc(rabbit)
  await neutron.start()
  t.teardown(() => neutron.close())
  const { username, password, tcpPort } = rabbit
  const file = join(folder, 'transport-url')
  writeFileSync(file, `rabbit://${username}:${password}@127.0.0.1:${tcpPort}/`, { mode: 0o600 })
  return {
    kind: 'neutron-rpc',
    ports: { kind: 'neutron-rpc', neutron_rpc: { transport_url_file: file, report_interval: 0 } },
    set: (topology) => neutron.setTopology(topology),
  }
}
