import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Topology } from '../conformance/topology.ts'

/** The text of a file of ports that holds a conformance topology. JSON is YAML, and quick to make. */
export function staticFileText(topology: Topology): string {
  const routerPorts = topology.routers.flatMap((router) =>
    router.ports.map((port) => ({
      id: port.portId,
      network: port.networkId,
      mac: port.macAddress,
      fixed_ips: port.fixedIps,
      router: router.routerId,
      device_owner: port.deviceOwner,
    })),
  )
  return JSON.stringify({
    networks: topology.networks.map((network) => ({
      id: network.networkId,
      project: network.projectId,
    })),
    routers: topology.routers.map((router) => ({ id: router.routerId, project: router.projectId })),
    ports: [
      ...routerPorts,
      ...topology.ports.map((port) => ({
        id: port.portId,
        network: port.networkId,
        mac: port.macAddress,
        fixed_ips: port.fixedIps,
        project: port.projectId,
        instance: port.instanceId,
        device_owner: port.deviceOwner,
      })),
    ],
  })
}

/** A file in a folder of its own that can be put in place as editors do. */
export interface WatchedFile {
  readonly folder: string
  readonly file: string
  /** Writes a file beside it and renames that over it. */
  replace(text: string): Promise<void>
  remove(): Promise<void>
}

export async function makeWatchedFile(): Promise<WatchedFile> {
  const folder = await mkdtemp(join(tmpdir(), 'ovt-static-'))
  const file = join(folder, 'ports.yaml')
  return {
    folder,
    file,
    async replace(text) {
      await writeFile(`${file}.new`, text)
      await rename(`${file}.new`, file)
    },
    async remove() {
      await rm(folder, { recursive: true, force: true })
    },
  }
}
