// A stranger held the IPv4 address of a namespace in which the supervisor had the IPv6 one. When doctor looked while the supervisor visited the
// namespace, its remedy was to kill the supervisor. Right: our own processes are never named as those that hold a port.
import { once } from 'node:events'
import { symlinkSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { processFacts } from '../../lib/host/process-facts.ts'
import { checkPorts } from '../../lib/operator/checks/of-namespaces.ts'
import type { DaemonFacts } from '../../lib/operator/host-facts.ts'
import { scratchFolder } from '../support/scratch-folder.ts'

t.test('doctor never advises to kill a daemon of ours that visits a namespace', async (t) => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const netnsFolder = scratchFolder(t)
  // This process stands for the supervisor, which is inside at the moment.
  symlinkSync('/proc/self/ns/net', join(netnsFolder, 'qdhcp-a'))
  const why = `169.254.169.254:${port}: EADDRINUSE`
  const proxy = (pid: number | undefined): DaemonFacts => ({
    daemon: 'proxy',
    address: '/none.sock',
    health: { daemon: 'proxy', reachable: false, why: 'none' },
    status: { namespaces: [{ netns: 'qdhcp-a', why }] },
    process: pid === undefined ? undefined : processFacts(pid),
    check: undefined,
  })
  const facts = { configFiles: [], netnsFolder, wallTime: 0, kernel: '6.1' }

  const asStranger = checkPorts({ ...facts, daemons: [proxy(undefined)] })
  const asOurs = checkPorts({ ...facts, daemons: [proxy(process.pid)] })

  t.match(asStranger, [{ remedy: new RegExp(`^"kill ${process.pid}"`) }])
  t.strictSame(asOurs, [])
})
